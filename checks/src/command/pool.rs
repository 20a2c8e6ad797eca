//! Jobs, as many at a time as there are threads to do them.

use std::collections::VecDeque;
use std::num::NonZero;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// How often the one who waits looks up from waiting.
const LOOK_UP: Duration = Duration::from_millis(100);

/// Does the jobs with these numbers, on so many threads: each thread takes the next one when it has
/// done one. Hands what came of each to `done`, on the calling thread, as it comes; calls `meanwhile`
/// now and then. After either has said `false`, no job is begun any more: those that are being done
/// are still waited for.
pub(crate) fn run<T: Send>(
    order: Vec<usize>,
    threads: NonZero<usize>,
    job: impl Fn(usize) -> T + Sync,
    mut done: impl FnMut(usize, T) -> bool,
    mut meanwhile: impl FnMut() -> bool,
) {
    let waiting = Mutex::new(VecDeque::from(order));
    let queue = || waiting.lock().unwrap_or_else(PoisonError::into_inner);
    let (sender, results) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..threads.get() {
            let sender = sender.clone();
            let (queue, job) = (&queue, &job);
            scope.spawn(move || {
                loop {
                    // Not held while the job is done.
                    let Some(number) = queue().pop_front() else {
                        break;
                    };
                    if sender.send((number, job(number))).is_err() {
                        break;
                    }
                }
            });
        }
        // The channel ends when the threads do.
        drop(sender);
        loop {
            let goes_on = match results.recv_timeout(LOOK_UP) {
                Ok((number, result)) => done(number, result),
                Err(RecvTimeoutError::Timeout) => meanwhile(),
                Err(RecvTimeoutError::Disconnected) => break,
            };
            if !goes_on {
                queue().clear();
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn every_job_is_done_once_and_two_at_a_time() {
        // Nobody passes alone.
        let barrier = Barrier::new(2);
        let job = |number: usize| {
            barrier.wait();
            number * number
        };
        let mut results = vec![None; 20];
        let threads = NonZero::new(2).expect("two");
        let note = |number: usize, result| {
            assert!(results[number].replace(result).is_none(), "{number} twice");
            true
        };
        run((0..20).rev().collect(), threads, job, note, || true);
        for (number, result) in results.into_iter().enumerate() {
            assert_eq!(result, Some(number * number));
        }
    }

    #[test]
    fn jobs_are_begun_in_order_and_none_after_enough() {
        let begun = AtomicUsize::new(0);
        let mut results = Vec::new();
        let job = |number| {
            begun.fetch_add(1, Ordering::Relaxed);
            if number == 3 {
                // Until the one who waits has heard of the one before.
                thread::sleep(Duration::from_millis(50));
            }
            number
        };
        let note = |number, _| {
            results.push(number);
            number != 7
        };
        run(
            vec![9, 7, 3, 1, 2],
            NonZero::<usize>::MIN,
            job,
            note,
            || true,
        );
        assert_eq!(results[..2], [9, 7]);
        assert!(begun.into_inner() < 5, "all were begun");
    }
}
