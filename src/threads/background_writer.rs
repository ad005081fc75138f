//! Writing of lines by a thread, so that a slow or stuck reader blocks no request.
//!
//! The queue is bounded; lines that exceed it are dropped and counted.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use crate::telemetry::Counter;

/// Maximum size of queued lines, in bytes.
const QUEUE_LIMIT: usize = 4 << 20;
/// Approximate size of one write, in bytes.
const BATCH_SIZE: usize = 64 << 10;

/// Queue of lines and the thread that writes them; clones share it.
#[derive(Clone)]
pub(crate) struct BackgroundWriter(Arc<Shared>);

struct Shared {
    jobs: Sender<Job>,
    /// Bytes that are queued or being written.
    queued: AtomicUsize,
    dropped: Counter,
}

enum Job {
    Line(Vec<u8>),
    /// Signals that everything before it is written.
    Flush(Sender<()>),
}

impl BackgroundWriter {
    /// Starts the thread that writes to `out`; thread and log call it `what`.
    ///
    /// Lines are collected for `batching` before they are written: waking the thread for each line costs as much as a pull.
    ///
    /// # Errors
    /// The system cannot start a thread.
    pub(crate) fn start(
        what: &'static str,
        mut out: impl Write + Send + 'static,
        batching: Duration,
    ) -> io::Result<Self> {
        let (sender, jobs) = channel();
        let shared = Arc::new(Shared {
            jobs: sender,
            queued: AtomicUsize::default(),
            dropped: Counter::default(),
        });
        let weak = Arc::downgrade(&shared);
        let write = move || {
            let wrote = |bytes: usize, dropped: u64| {
                if let Some(shared) = weak.upgrade() {
                    shared.queued.fetch_sub(bytes, Ordering::Relaxed);
                    shared.dropped.add(dropped);
                }
            };
            run(what, &jobs, &mut out, batching, wrote);
        };
        std::thread::Builder::new()
            .name(what.to_owned())
            .spawn(write)?;
        Ok(Self(shared))
    }

    /// Returns the number of lines dropped because the queue was full or writing failed.
    pub(crate) fn dropped(&self) -> u64 {
        self.0.dropped.get()
    }

    /// Reports whether nothing is queued or being written.
    pub(crate) fn is_idle(&self) -> bool {
        self.0.queued.load(Ordering::Relaxed) == 0
    }

    /// Blocks until everything queued so far is written, for at most `timeout`.
    pub(crate) fn flush(&self, timeout: Duration) {
        let (done, wait) = channel();
        if self.0.jobs.send(Job::Flush(done)).is_ok() {
            // a reader too slow for the timeout loses the lines
            let _ = wait.recv_timeout(timeout);
        }
    }

    /// Queues a line, which includes its line end.
    pub(crate) fn write(&self, line: impl Into<Vec<u8>>) {
        let (shared, line) = (&self.0, line.into());
        let length = line.len();
        if shared.queued.fetch_add(length, Ordering::Relaxed) > QUEUE_LIMIT
            || shared.jobs.send(Job::Line(line)).is_err()
        {
            shared.queued.fetch_sub(length, Ordering::Relaxed);
            shared.dropped.add(1);
        }
    }
}

/// Writes until all senders are gone.
///
/// Calls `wrote` with the bytes of each batch and the number of its lines that were lost.
fn run(
    what: &str,
    jobs: &Receiver<Job>,
    out: &mut impl Write,
    batching: Duration,
    wrote: impl Fn(usize, u64),
) {
    let (mut batch, mut has_failed) = (Vec::new(), false);
    while let Ok(first) = jobs.recv() {
        let (mut lines, mut flushes) = (0, Vec::new());
        for job in std::iter::once(first).chain(jobs.try_iter()) {
            match job {
                Job::Line(line) => {
                    batch.extend_from_slice(&line);
                    lines += 1;
                }
                Job::Flush(done) => flushes.push(done),
            }
            if batch.len() >= BATCH_SIZE {
                break;
            }
        }
        let written = out.write_all(&batch).and_then(|()| out.flush());
        wrote(batch.len(), if written.is_ok() { 0 } else { lines });
        if let Err(error) = written
            && !std::mem::replace(&mut has_failed, true)
        {
            tracing::warn!(%error, "cannot write the {what}; its lines are dropped");
        }
        if batch.len() < BATCH_SIZE && flushes.is_empty() && !batching.is_zero() {
            std::thread::sleep(batching);
        }
        batch.clear();
        // the caller may have stopped waiting
        flushes.into_iter().for_each(|done| _ = done.send(()));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::SyncSender;

    use super::*;

    /// Blocks until a permit arrives.
    struct Stuck(Receiver<()>, SyncSender<Vec<u8>>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            let _ = self.1.send(bytes.to_owned());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_stuck_reader_blocks_no_writer_and_costs_bounded_memory() {
        let (go_on, stuck) = channel();
        let (sink, written) = std::sync::mpsc::sync_channel(1 << 16);
        let writer = BackgroundWriter::start("test", Stuck(stuck, sink), Duration::ZERO).unwrap();
        let line = "x".repeat(1023) + "\n";
        for _ in 0..10_000 {
            writer.write(line.clone());
        }
        let dropped = writer.dropped();
        assert!((5000..9000).contains(&dropped), "{dropped}");
        assert!(writer.0.queued.load(Ordering::Relaxed) <= QUEUE_LIMIT + line.len());
        writer.flush(Duration::from_millis(1));
        drop(go_on);
        writer.flush(Duration::from_secs(20));
        assert_eq!(
            written
                .try_iter()
                .map(|bytes| bytes.len() as u64)
                .sum::<u64>(),
            (10_000 - dropped) * 1024
        );
        writer.write(line);
        writer.flush(Duration::from_secs(20));
        assert_eq!((writer.dropped(), written.try_iter().count()), (dropped, 1));
    }
}
