//! `mikado graph`.

use std::collections::BTreeSet;
use std::io::Write;

use clap::{Args, ValueEnum};

use crate::card::Stem;
use crate::chain::State;
use crate::cli::{Context, Format};
use crate::columns::one_line;
use crate::error::{Error, Exit};
use crate::graph::{Drawn, Graph, Way, dot, mermaid, svg, text};
use crate::timings;

use super::selection::{Selection, SelectionArgs};
use super::view::View;
use super::{done, write_json};

/// Draw the chain
///
/// Every entry of `requires` is an arrow from the prerequisite to the card that
/// requires it; dashed ones are of `uses` alone. Links in pictures are relative
/// to the root of the project.
#[derive(Clone, Debug, Default, Args)]
pub struct GraphArgs {
    /// The chain of this card alone
    #[arg(long, value_name = "CARD")]
    pub goal: Option<String>,
    /// Open cards alone
    #[arg(long)]
    pub open: bool,
    /// Where dependents are, seen from what they require
    #[arg(long, value_enum, default_value_t, value_name = "WAY")]
    pub direction: Way,
    /// What to draw it as
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: GraphFormat,
}

/// What a graph is drawn as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum GraphFormat {
    /// Layers of lines, what comes first at the top.
    #[default]
    Text,
    /// A flowchart of mermaid, as forges render it.
    Mermaid,
    /// Graphviz's language.
    Dot,
    /// A picture.
    Svg,
    /// For programs.
    Json,
}

/// Carries `graph` out.
///
/// # Errors
///
/// Where the cards can't be read, or the output can't be written.
pub fn run(args: GraphArgs, context: &Context) -> Result<Exit, Error> {
    let selection = Selection::read(&SelectionArgs::default(), context)?;
    let graph = graph(&args, &selection)?;
    let _phase = timings::phase("draw");
    let format = match args.format {
        GraphFormat::Text => Format::Text,
        _ => Format::Json,
    };
    let out = &mut context.out(format);
    let mut write = |drawing: String| out.write_all(drawing.as_bytes());
    let written = match args.format {
        GraphFormat::Text => match text::draw(&graph, context.screen()) {
            empty if empty.is_empty() && args.open => write("nothing is open\n".to_owned()),
            empty if empty.is_empty() => write("there are no cards\n".to_owned()),
            drawing => write(drawing),
        },
        GraphFormat::Mermaid => write(mermaid::draw(&graph, args.direction)),
        GraphFormat::Dot => write(dot::draw(&graph, args.direction)),
        GraphFormat::Svg => write(svg::draw(&graph, args.direction)),
        GraphFormat::Json => write_json(out, &graph.answer()),
    };
    done(written)
}

/// What of the project's chain is drawn.
fn graph(args: &GraphArgs, selection: &Selection) -> Result<Graph, Error> {
    let chain = &selection.chain;
    let view = View::new(selection);
    let within = selection.within(args.goal.as_deref())?;
    let is_drawn = |stem: &&Stem| {
        // What can't be read is not done, and holds others up.
        let is_open = chain.state(stem) != State::Complete;
        let files = selection.deck.files(stem.as_str());
        // A page is drawn only where a card requires it.
        let is_card = files.iter().any(|card| !card.page) || !chain.dependents(stem).is_empty();
        within.as_ref().is_none_or(|within| within.contains(*stem))
            && (is_open || !args.open)
            && is_card
    };
    let stems: BTreeSet<Stem> = selection.deck.stems().filter(is_drawn).cloned().collect();
    let drawn = chain.order(&stems).into_iter().map(|stem| {
        let mut requires = chain.requires(&stem).to_vec();
        requires.retain(|stem| stems.contains(stem));
        // What names no card holds this one up; its own name is no card to wait for.
        let unknown = chain.unknown(&stem).iter();
        let unknown = unknown.map(|text| Stem::new(&one_line(text)));
        requires.extend(unknown.filter(|text| selection.deck.files(text.as_str()).is_empty()));
        let mut uses = chain.uses(&stem);
        uses.retain(|stem| stems.contains(stem));
        let files = selection.deck.files(stem.as_str());
        let card = Drawn {
            title: view.title(&stem),
            path: files.first().map(|card| card.path().to_owned()),
            standing: view.standing(&stem),
            goal: view.is_goal(&stem),
            state: chain.state(&stem),
            stem,
        };
        (card, requires, uses)
    });
    Ok(Graph::new(drawn.collect()))
}
