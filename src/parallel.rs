//! A loop over a slice on a few threads, in order of results.
//!
//! Reading cards, and hashing, checking and syncing a tree, are loops over files
//! in which each turn waits for the kernel.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// How many threads pay for work that keeps a CPU busy.
pub(crate) fn cpus() -> usize {
    thread::available_parallelism()
        .map_or(1, NonZero::get)
        .min(8)
}

/// `work` on each of `items` by up to `threads` threads; results in the order
/// of the items, or the error of the first item that failed.
pub(crate) fn each<T, R, E>(
    items: &[T],
    threads: usize,
    work: impl Fn(&T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E>
where
    T: Sync,
    R: Send,
    E: Send,
{
    let threads = threads.min(items.len());
    if threads < 2 {
        return items.iter().map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let turn = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(at) else {
                return done;
            };
            let result = work(item);
            if result.is_err() {
                next.store(items.len(), Ordering::Relaxed);
            }
            done.push((at, result));
        }
    };
    let mut results: Vec<(usize, Result<R, E>)> = thread::scope(|scope| {
        let helpers: Vec<_> = (1..threads)
            .filter_map(|_| thread::Builder::new().spawn_scoped(scope, turn).ok())
            .collect();
        let mut results = turn();
        for helper in helpers {
            match helper.join() {
                Ok(more) => results.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        results
    });
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        let items: Vec<usize> = (0..1000).collect();
        let doubled = each(&items, 4, |n| Ok::<_, ()>(n * 2));
        assert_eq!(doubled, Ok(items.iter().map(|n| n * 2).collect()));
    }

    #[test]
    fn one_failure_fails_the_whole() {
        let items: Vec<usize> = (0..1000).collect();
        let result = each(&items, 4, |n| match n {
            500 => Err(*n),
            _ => Ok(()),
        });
        assert_eq!(result, Err(500));
    }
}
