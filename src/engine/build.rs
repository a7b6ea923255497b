//! Brings a build up to date: fetches, the build itself, its checks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::action::Node;
use crate::action::reason::Reason;
use crate::card::Stem;
use crate::digest::Digest;
use crate::event::{Event, How, Outcome};
use crate::plan::PlannedCard;
use crate::remote::Need;
use crate::store::{CardRun, StoredResult};
use crate::timings;

use super::absent::looked_up;
use super::describe::Describer;
use super::fault::Obstacle;
use super::order::{Order, Terms};
use super::perform::{Again, blocking};
use super::{Engine, Finished};

/// The trees that a later execution would have to fetch again.
fn needs(order: &Order) -> Vec<Digest> {
    let fetched = |path: &str| path.starts_with("fetch/") || path.starts_with("tools/");
    let nodes = order.action.root.iter();
    nodes
        .filter_map(|(path, node)| match node {
            Node::Tree { digest } if fetched(path) => Some(*digest),
            _ => None,
        })
        .collect()
}

impl Engine {
    /// Brings the build `card` up to date, and the files of what it turns out to
    /// lack before that.
    pub(super) async fn build(&self, card: &Arc<PlannedCard>) -> Result<Finished, Obstacle> {
        self.with_what_it_lacks(async || self.built(card).await)
            .await
    }

    async fn built(&self, card: &Arc<PlannedCard>) -> Result<Finished, Obstacle> {
        let started = Instant::now();
        let need = self.need(card);
        let requires = self.used_artifacts(card)?;
        let forced = self.options.force && card.asked;
        let mut fetched = self.fetched(card, &requires, false).await?;
        let look = (!forced).then_some(need);
        let (mut order, found) = self.looked_up(card, &requires, &fetched, look).await?;
        let mut announced = false;
        let mut hit = found
            .filter(|found| self.suits(found, &order))
            .map(|found| found.artifact);
        if hit.is_none() && !forced {
            let shared = match self.shared(&order, need).await? {
                None => self.found_elsewhere(&order, need).await?,
                shared => shared,
            };
            hit = shared.map(|shared| shared.artifact);
        }
        if let Some(artifact) = hit {
            self.artifacts
                .borrow_mut()
                .insert(card.stem.clone(), artifact);
        }
        if let Some(artifact) = hit
            && self.always_fails(card, &requires, &artifact).await?
        {
            hit = None;
        }
        let (artifact, executed, moved) = match hit {
            Some(artifact) => {
                self.replay(&card.stem, &order.action.key)?;
                (artifact, false, false)
            }
            None => {
                self.announce(card, &order, forced, &mut announced);
                // Now the trees are needed, and not their names alone.
                let again = self.fetched(card, &requires, true).await?;
                if again != fetched {
                    fetched = again;
                    order = self.described(card, &requires, &fetched).await?;
                }
                self.provide_tools(card).await?;
                let describe = self.describing(card, &requires, &fetched);
                let again: Again = Arc::new(move || Ok(describe()?.action.key));
                // Checks look at it here.
                let need = match card.work.definition.verify.is_empty() {
                    true => need,
                    false => Need::Files,
                };
                let terms = Terms { forced, need };
                let performed = self.perform(&card.stem, &order, terms, again).await?;
                (performed.artifact, performed.executed, performed.moved)
            }
        };
        let checks = self
            .checks(card, &requires, &artifact, &mut announced)
            .await?;
        let how = match executed {
            true => How::Built,
            false if self.link_points_to(&card.stem, &artifact) => How::Fresh,
            false
                if !self.workspace.has_files(&artifact) && self.was_last(&card.stem, &artifact) =>
            {
                How::Fresh
            }
            false => How::Restored,
        };
        self.artifacts
            .borrow_mut()
            .insert(card.stem.clone(), artifact);
        if !executed {
            self.forget_scene(&card.stem).await?;
        }
        let took = started.elapsed();
        let run = CardRun {
            stem: card.stem.to_string(),
            action: Some(order.action.key),
            artifact: Some(artifact),
            checks,
            needs: needs(&order),
            fetches: self
                .fetches
                .borrow()
                .get(&card.stem)
                .cloned()
                .unwrap_or_default(),
            started_ms: self.started_ms(started),
            took_ms: took.as_millis() as u64,
            log: announced.then(|| self.log_of(&card.stem)),
            hit: !executed,
            ..CardRun::default()
        };
        Ok(Finished {
            outcome: Outcome::Passed {
                how,
                artifact: Some(artifact),
                took,
                was_complete: !card.open,
                not_cached: moved.then(|| {
                    "an input changed while it ran; the artifact stands for this run".to_owned()
                }),
            },
            // A fresh card whose record is the same needs no new line.
            run: (!moved && (how != How::Fresh || self.is_news(&run))).then_some(run),
            link: Some(artifact),
            mark: !moved,
        })
    }

    /// The artifacts that the card uses, by role.
    pub(super) fn used_artifacts(
        &self,
        card: &PlannedCard,
    ) -> Result<BTreeMap<String, Digest>, Obstacle> {
        let artifacts = self.artifacts.borrow();
        let mut used = BTreeMap::new();
        for (role, stem) in &card.uses {
            let digest = match artifacts.get(stem) {
                Some(digest) => *digest,
                None => self.stored_artifact(stem)?,
            };
            used.insert(role.clone(), digest);
        }
        Ok(used)
    }

    /// The artifact of a card that is not part of this run.
    pub(super) fn stored_artifact(&self, stem: &Stem) -> Result<Digest, Obstacle> {
        let workspace = &self.workspace;
        let history = workspace.local.history(stem.as_str());
        let artifact = history.success().and_then(|run| run.artifact);
        match artifact {
            Some(digest) if workspace.store.tree(&digest)?.is_some() => Ok(digest),
            Some(digest) if self.may_be_brought(&digest)? => Ok(digest),
            _ => Err(Obstacle::stuck(
                format!("the artifact of `{stem}` is not in the store"),
                format!("make it first: mikado run {stem}"),
            )),
        }
    }

    /// What each fetch brought. With `ready` the trees are in the store;
    /// otherwise a recorded result is enough, and one that is missing is had.
    pub(super) async fn fetched(
        &self,
        card: &Arc<PlannedCard>,
        requires: &BTreeMap<String, Digest>,
        ready: bool,
    ) -> Result<BTreeMap<String, Digest>, Obstacle> {
        let mut fetched = BTreeMap::new();
        for (name, fetch) in &card.work.definition.fetch {
            let workspace = Arc::clone(&self.workspace);
            let (planned, of_requires) = (Arc::clone(card), requires.clone());
            let (named, fetch) = (name.clone(), fetch.clone());
            let describe = move || {
                let describer = Describer {
                    workspace: &workspace,
                    card: &planned,
                    requires: &of_requires,
                };
                describer.fetch(&named, &fetch).map(Arc::new)
            };
            let order = blocking(describe.clone()).await??;
            let (store, key) = (Arc::clone(&self.workspace.store), order.action.key);
            let known = blocking(move || match ready {
                true => store.lookup(&key),
                false => store.recorded(&key),
            });
            let known = known.await??;
            let mut known = known.filter(|known| self.suits(known, &order));
            if known.is_none() {
                let need = match ready {
                    true => Need::Files,
                    false => Need::Names,
                };
                known = self.shared(&order, need).await?;
            }
            let digest = match known {
                Some(known) => known.artifact,
                None => {
                    let workspace = &self.workspace;
                    let reasons = workspace.reasons_to_fetch(&card.stem, name, &order);
                    self.begin(card, reasons);
                    self.provide_tools(card).await?;
                    let again: Again = Arc::new(move || Ok(describe()?.action.key));
                    self.perform(&card.stem, &order, Terms::USUAL, again)
                        .await?
                        .artifact
                }
            };
            let mut fetches = self.fetches.borrow_mut();
            let of_card = fetches.entry(card.stem.clone()).or_default();
            of_card.insert(name.clone(), key);
            fetched.insert(name.clone(), digest);
        }
        Ok(fetched)
    }

    /// The order of the build, with all that it reads in the store.
    pub(super) async fn ready_order(
        &self,
        card: &Arc<PlannedCard>,
    ) -> Result<Arc<Order>, Obstacle> {
        let requires = self.used_here(card).await?;
        let fetched = self.fetched(card, &requires, true).await?;
        let order = self.described(card, &requires, &fetched).await?;
        self.provide_tools(card).await?;
        Ok(order)
    }

    /// The order of the fetch `name`, with its tools in the store.
    pub(super) async fn ready_fetch(
        &self,
        card: &Arc<PlannedCard>,
        name: &str,
    ) -> Result<Arc<Order>, Obstacle> {
        let Some(fetch) = card.work.definition.fetch.get(name).cloned() else {
            let known: Vec<&String> = card.work.definition.fetch.keys().collect();
            let help = match known.is_empty() {
                true => "it has none".to_owned(),
                false => format!("it has {}", crate::words::list(&known)),
            };
            let message = format!("the runner of `{}` has no fetch `{name}`", card.stem);
            return Err(Obstacle::failed("fetch", message, help));
        };
        let (workspace, planned) = (Arc::clone(&self.workspace), Arc::clone(card));
        let name = name.to_owned();
        let order = blocking(move || {
            let requires = BTreeMap::new();
            let describer = Describer {
                workspace: &workspace,
                card: &planned,
                requires: &requires,
            };
            describer.fetch(&name, &fetch)
        });
        let order = order.await??;
        self.provide_tools(card).await?;
        Ok(Arc::new(order))
    }

    pub(super) async fn described(
        &self,
        card: &Arc<PlannedCard>,
        requires: &BTreeMap<String, Digest>,
        fetched: &BTreeMap<String, Digest>,
    ) -> Result<Arc<Order>, Obstacle> {
        blocking(self.describing(card, requires, fetched)).await?
    }

    /// What describes the build: blocking code, as often as it is wanted.
    pub(super) fn describing(
        &self,
        card: &Arc<PlannedCard>,
        requires: &BTreeMap<String, Digest>,
        fetched: &BTreeMap<String, Digest>,
    ) -> impl Fn() -> Result<Arc<Order>, Obstacle> + Send + Sync + 'static {
        let workspace = Arc::clone(&self.workspace);
        let (planned, requires) = (Arc::clone(card), requires.clone());
        let fetched = fetched.clone();
        move || {
            let describer = Describer {
                workspace: &workspace,
                card: &planned,
                requires: &requires,
            };
            describer.build(&fetched).map(Arc::new)
        }
    }

    /// The order of the build, and its result, where one is looked for and
    /// known: one turn beside the event loop for both.
    pub(super) async fn looked_up(
        &self,
        card: &Arc<PlannedCard>,
        requires: &BTreeMap<String, Digest>,
        fetched: &BTreeMap<String, Digest>,
        look: Option<Need>,
    ) -> Result<(Arc<Order>, Option<StoredResult>), Obstacle> {
        let describe = self.describing(card, requires, fetched);
        let store = Arc::clone(&self.workspace.store);
        let stem = card.stem.clone();
        let looked_up = blocking(move || {
            let order = describe()?;
            let _phase = timings::phase_of("look up", &stem);
            let found = match look {
                Some(need) => looked_up(&store, &order.action.key, need)?,
                None => None,
            };
            Ok((order, found))
        });
        looked_up.await?
    }

    /// Whether a result may be taken for `order`: what was made with more opened
    /// up than its runner opens up now may not.
    fn suits(&self, found: &StoredResult, order: &Order) -> bool {
        found.suits(false) || found.suits(self.stays_local(order).is_some())
    }

    /// Tells that the card is about to be executed, and why.
    fn announce(&self, card: &PlannedCard, order: &Order, forced: bool, announced: &mut bool) {
        let mut reasons = self.workspace.reasons(&card.stem, order);
        if forced {
            // A result that is there is not looked for.
            reasons.retain(|reason| *reason != Reason::Forgotten);
            reasons.insert(0, Reason::Forced);
        }
        *announced = true;
        self.begin(card, reasons);
    }

    /// Fetches and unpacks the tools of the card that are not in the store.
    pub(super) async fn provide_tools(&self, card: &Arc<PlannedCard>) -> Result<(), Obstacle> {
        if !self.provided.borrow_mut().insert(card.stem.clone()) {
            return Ok(());
        }
        let _phase = timings::phase_of("provide tools", &card.stem);
        let workspace = Arc::clone(&self.workspace);
        let planned = Arc::clone(card);
        let events = self.events.clone();
        let provided = blocking(move || {
            let requires = BTreeMap::new();
            let describer = Describer {
                workspace: &workspace,
                card: &planned,
                requires: &requires,
            };
            let runner = planned.work.runner_name(&planned.stem);
            for (name, spec) in &planned.work.definition.tools {
                let spec = describer.expanded(spec)?;
                workspace.provide(runner, name, &spec, &|tool| {
                    // The run may be over already; then nobody listens.
                    drop(events.send(Event::ToolProvisioning {
                        tool: tool.to_owned(),
                    }));
                })?;
            }
            Ok::<_, Obstacle>(())
        })
        .await?;
        if provided.is_err() {
            self.provided.borrow_mut().remove(&card.stem);
        }
        provided
    }

    /// When `started` was, in milliseconds since 1970.
    pub(super) fn started_ms(&self, started: Instant) -> u64 {
        let now = jiff::Timestamp::now().as_millisecond();
        let ago = started.elapsed().as_millis() as i64;
        (now - ago).try_into().unwrap_or(0)
    }

    /// How long the card took the last times.
    pub(super) fn expected(&self, stem: &Stem) -> Option<Duration> {
        let history = self.workspace.local.history(stem.as_str());
        history.expected_ms().map(Duration::from_millis)
    }
}
