//! Small blobs that several ask for at one time, read in common batches: whoever
//! asks while a batch is on its way is in the next one.

use std::sync::Mutex;

use tokio::sync::oneshot;

use super::cache::hold;
use super::client::Client;
use super::fault::Fault;
use crate::digest::Digest;

/// How many batches are on their way at once.
const AT_ONCE: usize = 3;

type Answer = Result<Option<Vec<u8>>, Fault>;

/// Those who wait.
#[derive(Debug, Default)]
pub(super) struct Gather {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<(Digest, oneshot::Sender<Answer>)>,
    batches: usize,
}

impl Gather {
    /// Reads small blobs; `None` stands for one that the server does not give.
    pub(super) async fn read(
        &self,
        client: &Client,
        digests: &[Digest],
    ) -> Result<Vec<(Digest, Option<Vec<u8>>)>, Fault> {
        let mut answers = Vec::with_capacity(digests.len());
        {
            let mut state = hold(&self.state);
            for digest in digests {
                let (sender, answer) = oneshot::channel();
                state.waiting.push((*digest, sender));
                answers.push((*digest, answer));
            }
        }
        // Others may be about to ask: they get their turn first.
        tokio::task::yield_now().await;
        if self.may_begin() {
            // A task of its own, since whoever waits here may be given up.
            let client = client.clone();
            tokio::spawn(async move { client.gather().carry_out(&client).await });
        }
        let mut read = Vec::with_capacity(answers.len());
        for (digest, answer) in answers {
            let gone = |_| Fault::Here("BUG: a batch was dropped".into());
            read.push((digest, answer.await.map_err(gone)??));
        }
        Ok(read)
    }

    fn may_begin(&self) -> bool {
        let mut state = hold(&self.state);
        let may = state.batches < AT_ONCE && !state.waiting.is_empty();
        state.batches += usize::from(may);
        may
    }

    /// Sends batches until nobody waits.
    async fn carry_out(&self, client: &Client) {
        loop {
            let waiting = {
                let mut state = hold(&self.state);
                if state.waiting.is_empty() {
                    state.batches -= 1;
                    return;
                }
                std::mem::take(&mut state.waiting)
            };
            let limits = match client.limits().await {
                Ok(limits) => limits,
                Err(fault) => {
                    for (_, sender) in waiting {
                        drop(sender.send(Err(fault.clone())));
                    }
                    continue;
                }
            };
            for batch in limits.batches(waiting, |(digest, _)| digest.size) {
                let mut digests: Vec<Digest> = batch.iter().map(|(digest, _)| *digest).collect();
                digests.sort();
                digests.dedup();
                let read = client.read_batch(&digests).await;
                let read = read.map(|blobs| blobs.into_iter().collect());
                let read: Result<std::collections::BTreeMap<_, _>, Fault> = read;
                for (digest, sender) in batch {
                    let answer = match &read {
                        Ok(blobs) => Ok(blobs.get(&digest).cloned()),
                        Err(fault) => Err(fault.clone()),
                    };
                    drop(sender.send(answer));
                }
            }
        }
    }
}
