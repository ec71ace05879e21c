//! Independent pieces of work on several threads.

use std::sync::Mutex;

use crate::recovery::RecoveryError;

/// Does a piece of work with each item, on up to `threads` threads. Results come in no certain order. After an error the
/// pieces that were begun are ended, no other is begun.
pub(super) fn map<T: Send, R: Send>(
    threads: usize,
    items: Vec<T>,
    work: impl Fn(T) -> Result<R, RecoveryError> + Sync,
) -> Result<Vec<R>, RecoveryError> {
    let threads = threads.clamp(1, items.len().max(1));
    if threads == 1 {
        return items.into_iter().map(work).collect();
    }
    let queue = Mutex::new(items.into_iter());
    let take = || queue.lock().ok().and_then(|mut items| items.next());
    let drain = || {
        if let Ok(mut items) = queue.lock() {
            items.by_ref().for_each(drop);
        }
    };
    let run = || {
        let mut results = Vec::new();
        while let Some(item) = take() {
            results.push(work(item).inspect_err(|_| drain())?);
        }
        Ok(results)
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(run)).collect();
        let mut results = run();
        for other in others {
            let other = other.join().unwrap_or(Err(RecoveryError::Thread));
            match (&mut results, other) {
                (Ok(results), Ok(other)) => results.extend(other),
                (Ok(_), Err(error)) => results = Err(error),
                (Err(_), _) => {}
            }
        }
        results
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_worked_on_once_and_an_error_comes_out() {
        for threads in [1, 2, 7] {
            let mut doubled = map(threads, (0..100).collect(), |item: u32| Ok(item * 2)).unwrap();
            doubled.sort_unstable();
            assert_eq!(doubled, (0..100).map(|item| item * 2).collect::<Vec<_>>());
            let failing = |item: u32| if item == 50 { Err(RecoveryError::Thread) } else { Ok(item) };
            assert!(map(threads, (0..100).collect(), failing).is_err());
            assert!(map(threads, Vec::new(), failing).unwrap().is_empty());
        }
    }
}
