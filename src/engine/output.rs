//! What executions printed: kept with their results, and replayed where a result
//! is found.
//!
//! A log may be of any size; of the output that is kept, the end counts most.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use crate::card::Stem;
use crate::digest::Digest;
use crate::event::Event;

use super::Engine;
use super::fault::Obstacle;
use super::order::Performed;

/// How much of an output is kept: its last bytes.
const KEPT_OUTPUT: u64 = 256 * 1024;

impl Performed {
    /// The end of what it printed; only what is shown later suffers where that
    /// can't be read.
    pub(super) fn kept_output(&self) -> Vec<u8> {
        let Some((log, range)) = &self.output else {
            return Vec::new();
        };
        let length = (range.end - range.start).min(KEPT_OUTPUT);
        let mut bytes = Vec::new();
        let read = File::open(log).and_then(|mut file| {
            file.seek(SeekFrom::Start(range.end - length))?;
            file.take(length).read_to_end(&mut bytes)
        });
        match read {
            Ok(_) => bytes,
            Err(_) => Vec::new(),
        }
    }
}

impl Engine {
    /// Tells what the action that made a found result printed, where that is
    /// asked for and known.
    pub(super) fn replay(&self, card: &Stem, key: &Digest) -> Result<(), Obstacle> {
        if !self.options.replay {
            return Ok(());
        }
        let store = &self.workspace.store;
        let log = store
            .recorded(key)?
            .and_then(|result| result.provenance.log);
        if let Some(log) = log
            && let Some(output) = store.blob(&log)?
        {
            self.replay_output(card, "build", output);
        }
        Ok(())
    }

    /// Tells what a part of a card printed when it was executed.
    pub(super) fn replay_output(&self, card: &Stem, part: &str, output: Vec<u8>) {
        if self.options.replay && !output.is_empty() {
            self.emit(Event::LogReplayed {
                card: card.clone(),
                part: part.to_owned(),
                output,
            });
        }
    }
}
