//! Text in the columns of a terminal: how wide it is, cut, filled up, wrapped.
//!
//! Widths are those of `wcwidth`, which terminals go by; letters with their
//! accents, and emoji of several characters, are never torn. What is written
//! to a pipe is neither cut nor wrapped: [`Screen::columns`] is `None` there.
//! Pure.

use anstyle::Style;
use unicode_width::UnicodeWidthChar as _;

/// Wraps texts in a style, or leaves them as they are.
#[derive(Clone, Copy, Debug)]
pub struct Paint(
    /// Whether there is colour at all.
    pub bool,
);

impl Paint {
    /// The text in this style where there is colour.
    pub fn with(self, style: Style, text: &str) -> String {
        match self.0 {
            true => format!("{style}{text}{style:#}"),
            false => text.to_owned(),
        }
    }
}

/// What is written to: a terminal with its width, or something without one.
#[derive(Clone, Copy, Debug)]
pub struct Screen {
    /// How many columns a terminal has; `None` where nobody looks.
    pub columns: Option<usize>,
    /// Whether there is colour.
    pub paint: Paint,
}

impl Screen {
    /// No terminal, and no colour.
    pub const PLAIN: Screen = Screen {
        columns: None,
        paint: Paint(false),
    };

    /// The text as one line that fits what is left after `used` columns, with
    /// `…` where something was cut off. Control characters become spaces.
    pub fn rest(self, text: &str, used: usize) -> String {
        let text = one_line(text);
        match self.columns {
            // A few letters say nothing.
            Some(columns) if columns < used + 8 => String::new(),
            Some(columns) => cut(&text, columns - used),
            None => text,
        }
    }

    /// The text in lines that fit, all but the first after `indent` spaces;
    /// the first has `used` columns before it.
    pub fn wrapped(self, text: &str, used: usize, indent: usize) -> String {
        match self.columns {
            Some(columns) => folded(text, used, &" ".repeat(indent), columns),
            None => text.to_owned(),
        }
    }
}

/// How many columns a text takes on a terminal; a tab takes four here.
pub fn columns(text: &str) -> usize {
    text.chars().map(char_columns).sum()
}

fn char_columns(c: char) -> usize {
    match c {
        '\t' => 4,
        c => c.width().unwrap_or(1),
    }
}

/// The text in one line, with control characters as spaces: what a card says
/// must not move a terminal's cursor.
pub fn one_line(text: &str) -> String {
    text.replace(|c: char| c.is_control(), " ")
}

/// The text filled up with spaces to `width` columns.
pub fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(columns(text))))
}

/// As much of the start of `text` as fits `width` columns, with `…` at the end
/// where something was cut off.
pub fn cut(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let mut used = 0;
    let mut kept = String::new();
    for cluster in clusters(text) {
        used += columns(cluster);
        if used + 1 > width {
            break;
        }
        kept.push_str(cluster);
    }
    format!("{}…", kept.trim_end())
}

/// The end of `text` that fits `width` columns.
pub fn last(text: &str, width: usize) -> String {
    let mut used = 0;
    let mut start = text.len();
    for cluster in clusters(text).collect::<Vec<_>>().into_iter().rev() {
        used += columns(cluster);
        if used > width {
            break;
        }
        start -= cluster.len();
    }
    text[start..].to_owned()
}

/// A line, with its end, in lines of at most `width` columns. It is broken at
/// single spaces only, so that what stands in columns stays there; what follows
/// begins under the line's own text: after the spaces and the mark (`|`, `1.`, a
/// verb of a report) at its start, or two columns further in where there is none. Words are
/// not broken, and escape sequences take no room.
pub fn fold(line: &str, width: usize) -> String {
    if visible_columns(line.trim_end()) <= width {
        return line.to_owned();
    }
    let text = line.trim_end_matches('\n');
    let end = &line[text.len()..];
    folded(text, 0, &hanging(text), width) + end
}

fn folded(text: &str, used: usize, indent: &str, width: usize) -> String {
    let margin = columns(indent);
    let mut out = String::with_capacity(text.len());
    let mut filled = used;
    for word in words(text, width.saturating_sub(margin)) {
        let wide = visible_columns(word);
        let is_first = out.trim_start().is_empty();
        if filled + wide > width && filled > margin && !is_first {
            let word = word.trim_start_matches(' ');
            out.push('\n');
            out.push_str(indent);
            out.push_str(word);
            filled = margin + visible_columns(word);
        } else {
            out.push_str(word);
            filled += wide;
        }
    }
    out
}

/// Where the verbs of reports end, which stand to the right.
const VERBS: usize = 9;

/// What stands before the second and later parts of a folded line.
fn hanging(line: &str) -> String {
    let text = line.trim_start();
    let indent = &line[..line.len() - text.len()];
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if text.starts_with("| ") {
        format!("{indent}| ")
    } else if digits > 0 && text[digits..].starts_with(". ") {
        format!("{indent}{}", " ".repeat(digits + 2))
    } else if indent.len() + word_length(text) == VERBS {
        " ".repeat(VERBS + 1)
    } else {
        format!("{indent}  ")
    }
}

fn word_length(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_alphabetic).count()
}

/// The words of a line, each with the spaces before it; those of wide characters
/// that are longer than `room` in their pieces.
fn words(line: &str, room: usize) -> impl Iterator<Item = &str> {
    let mut rest = line;
    let words = std::iter::from_fn(move || {
        let start = rest.len() - rest.trim_start_matches(' ').len();
        let end = rest[start..]
            .find(' ')
            .map_or(rest.len(), |end| start + end);
        let (word, others) = rest.split_at(end);
        rest = others;
        (!word.is_empty()).then_some(word)
    });
    words.flat_map(move |word| match columns(word) > room {
        false => vec![word],
        true => {
            let text = word.trim_start_matches(' ');
            let spaces = word.len() - text.len();
            let mut start = 0;
            let mut end = spaces;
            let mut parts = Vec::new();
            for (_, piece) in pieces(text) {
                end += piece.len();
                parts.push(&word[start..end]);
                start = end;
            }
            parts
        }
    })
}

/// How many columns a text takes without its escape sequences of colour.
fn visible_columns(text: &str) -> usize {
    let mut parts = text.split("\u{1b}[");
    let first = parts.next().map_or(0, columns);
    let after = parts.map(|part| part.split_once('m').map_or(0, |(_, rest)| columns(rest)));
    first + after.sum::<usize>()
}

/// What a line is broken between: words, and within a word each wide character.
/// Says whether white space stands before the piece.
pub fn pieces(text: &str) -> impl Iterator<Item = (bool, &str)> {
    text.split_whitespace().flat_map(|word| {
        let mut starts = vec![0];
        let mut at = 0;
        let mut was_wide = false;
        for cluster in clusters(word) {
            let is_wide = columns(cluster) > 1;
            // Closing marks of Chinese and Japanese stay with what they close.
            let closes =
                cluster.starts_with(['、', '。', '，', '．', '」', '』', '）', '！', '？', '：']);
            if at > 0 && (is_wide || was_wide) && !closes {
                starts.push(at);
            }
            was_wide = is_wide;
            at += cluster.len();
        }
        starts.push(word.len());
        let bounds: Vec<(usize, usize)> = starts.windows(2).map(|w| (w[0], w[1])).collect();
        bounds
            .into_iter()
            .map(move |(start, end)| (start == 0, &word[start..end]))
    })
}

/// The characters as they are seen: with what combines with them.
pub fn clusters(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let mut chars = rest.char_indices();
        let (_, first) = chars.next()?;
        let mut before = first;
        let mut flags = usize::from(is_flag(first));
        let end = chars.find_map(|(at, c)| {
            let flag_pair = is_flag(c) && flags == 1;
            let joins = c.width() == Some(0) || is_skin(c) || before == '\u{200d}' || flag_pair;
            before = c;
            flags = if flag_pair { 2 } else { flags };
            (!joins || c.is_control()).then_some(at)
        });
        let (cluster, others) = rest.split_at(end.unwrap_or(rest.len()));
        rest = others;
        Some(cluster)
    })
}

fn is_flag(c: char) -> bool {
    ('\u{1f1e6}'..='\u{1f1ff}').contains(&c)
}

fn is_skin(c: char) -> bool {
    ('\u{1f3fb}'..='\u{1f3ff}').contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_together_is_not_torn() {
        let text = "e\u{301}a👩\u{200d}🔧🇩🇪🇫🇷👍🏽";
        let seen: Vec<&str> = clusters(text).collect();
        assert_eq!(seen, ["e\u{301}", "a", "👩\u{200d}🔧", "🇩🇪", "🇫🇷", "👍🏽"]);
        assert_eq!(seen.concat(), text);
    }

    #[test]
    fn a_long_text_is_cut_with_a_mark_and_a_short_one_is_not() {
        assert_eq!(cut("short", 5), "short");
        assert_eq!(cut("a longer one", 9), "a longer…");
        assert_eq!(cut("日本語の題", 6), "日本…");
        assert_eq!(last("日本語", 5), "本語");
    }

    #[test]
    fn lines_are_broken_at_spaces_and_long_ones_between_wide_characters() {
        let screen = Screen {
            columns: Some(8),
            ..Screen::PLAIN
        };
        assert_eq!(screen.wrapped("one  two three", 0, 1), "one  two\n three");
        assert_eq!(
            screen.wrapped("日本語の題、名", 1, 1),
            "日本語\n の題、\n 名"
        );
        let word = "a-name-that-is-longer";
        assert_eq!(
            screen.wrapped(&format!("a {word} b"), 0, 0),
            format!("a\n{word}\nb")
        );
    }

    #[test]
    fn a_folded_line_keeps_its_columns_and_its_colours() {
        assert_eq!(fold("a b\n", 3), "a b\n");
        assert_eq!(fold("ab  cd ef gh\n", 8), "ab  cd\n  ef gh\n");
        assert_eq!(fold("  | one two three", 11), "  | one two\n  | three");
        assert_eq!(fold(" 12. one two three", 12), " 12. one two\n     three");
        assert_eq!(
            fold("   Failed one two", 14),
            "   Failed one\n          two"
        );
        let red = "\u{1b}[31mone\u{1b}[0m two three";
        assert_eq!(fold(red, 7), red.replace(" three", "\n  three"));
        assert_eq!(fold("a-long-word-alone", 5), "a-long-word-alone");
    }

    #[test]
    fn nothing_is_cut_or_wrapped_where_nobody_looks() {
        let long = "word ".repeat(100);
        assert_eq!(Screen::PLAIN.rest(&long, 10), long);
        assert_eq!(Screen::PLAIN.wrapped(&long, 0, 4), long);
        let screen = Screen {
            columns: Some(40),
            ..Screen::PLAIN
        };
        assert_eq!(columns(&screen.rest(&long, 10)), 30);
        let wrapped = screen.wrapped(&long, 10, 4);
        assert!(
            wrapped
                .lines()
                .skip(1)
                .all(|line| line.starts_with("    w"))
        );
        assert!(wrapped.lines().all(|line| columns(line) <= 40), "{wrapped}");
        assert_eq!(one_line("a\u{1b}[31m\nb"), "a [31m b");
    }
}
