//! The way of an execution's output, in its reaper: a pipe, a mask, the log.
//!
//! What a program writes is read as soon as it is there, so nobody waits for
//! the log, and written at once, so the log on disk is never behind by more
//! than the pipe holds. Memory is one chunk, however much comes.

use std::fs::File;
use std::io::{self, PipeReader, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::Errno;

use super::mask::Mask;

const CHUNK: usize = 64 * 1024;

/// A log that is being written.
pub(super) struct Log {
    /// Until all its writers have closed it.
    pipe: Option<PipeReader>,
    mask: Mask,
    file: File,
    /// The error number of the first write that failed, or 0. The pipe is read on, so that nobody waits for it.
    pub(super) error: i32,
    chunk: Vec<u8>,
}

impl Log {
    /// A log in this file, and the descriptor for the program to write to.
    pub(super) fn new(output: OwnedFd, secrets: &[Vec<u8>]) -> io::Result<(Log, OwnedFd)> {
        let (pipe, input) = io::pipe()?;
        fcntl_setfl(&pipe, OFlags::NONBLOCK)?;
        let log = Log {
            pipe: Some(pipe),
            mask: Mask::new(secrets),
            file: output.into(),
            error: 0,
            chunk: Vec::new(),
        };
        Ok((log, input.into()))
    }

    /// What can be waited for; `None` when all writers have closed the pipe.
    pub(super) fn pipe(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    /// Takes what is there, up to a chunk; says whether there may be more.
    pub(super) fn take(&mut self) -> bool {
        let Some(pipe) = &self.pipe else {
            return false;
        };
        self.chunk.clear();
        self.chunk.reserve(CHUNK);
        match rustix::io::read(pipe, spare_capacity(&mut self.chunk)) {
            Ok(0) => {
                self.pipe = None;
                false
            }
            Ok(_) => {
                self.write();
                true
            }
            Err(error) => error == Errno::INTR,
        }
    }

    fn write(&mut self) {
        let mut masked = Vec::new();
        let bytes = if self.mask.is_empty() {
            &self.chunk
        } else {
            self.mask.push(&self.chunk, &mut masked);
            &masked
        };
        write_log(&self.file, &mut self.error, bytes);
    }

    /// Takes the rest. A process outside that holds the pipe, since somebody passed it on, is not waited for.
    pub(super) fn drain(&mut self) {
        while self.take() {}
        let mut rest = Vec::new();
        self.mask.finish(&mut rest);
        write_log(&self.file, &mut self.error, &rest);
    }
}

fn write_log(mut file: &File, error: &mut i32, bytes: &[u8]) {
    if *error == 0
        && let Err(failure) = file.write_all(bytes)
    {
        *error = number(&failure);
    }
}

/// The system's number of an error.
pub(super) fn number(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}
