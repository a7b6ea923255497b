//! Frames: how one record lies in a segment file, and how a file of them is
//! read after anything may have happened to it.
//!
//! ```text
//! segment: "mikado1\n" salt(8) frame*
//! frame:   magic(4) kind(1) flags(1) key length(2) payload length(8)
//!          time in ms(8) crc of payload(4) crc of salt, header and key(4)
//!          key payload
//! ```
//! Numbers are little-endian. The salt differs from segment to segment, so
//! that a frame inside a payload is never taken for a frame of the file. A
//! scan reads headers only; the payload's crc is checked when it is read.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

/// The first bytes of each segment; the salt follows.
const SEGMENT_MAGIC: &[u8; 8] = b"mikado1\n";
/// The length of a segment's own header.
pub(super) const SEGMENT_HEADER: u64 = 16;
const MAGIC: &[u8; 4] = b"\xf1mkd";
const HEADER: usize = 32;
const WINDOW: usize = 256 * 1024;

/// The bytes that a new segment starts with.
pub(super) fn segment_header(salt: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(SEGMENT_MAGIC);
    bytes[8..].copy_from_slice(&salt.to_le_bytes());
    bytes
}

/// The salt of a segment, or `None` where the file is no segment.
pub(super) fn read_salt(file: &File) -> io::Result<Option<u64>> {
    let mut bytes = [0; 16];
    match file.read_exact_at(&mut bytes, 0) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let (magic, salt) = bytes.split_at(8);
    let salt = salt.try_into().map(u64::from_le_bytes).ok();
    Ok(salt.filter(|_| magic == SEGMENT_MAGIC))
}

/// A frame's header and key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// What the record is; see `segments::Kind`.
    pub(super) kind: u8,
    /// When it was put, in milliseconds since 1970.
    pub(super) time_ms: u64,
    /// The record's key.
    pub(super) key: Vec<u8>,
    /// The length of the payload.
    pub(super) payload_len: u64,
    payload_crc: u32,
}

impl Head {
    /// The head of a record that is about to be written.
    pub(super) fn new(kind: u8, key: Vec<u8>, payload: &[u8], time_ms: u64) -> Head {
        Head {
            kind,
            time_ms,
            key,
            payload_len: payload.len() as u64,
            payload_crc: crc32fast::hash(payload),
        }
    }

    /// Bytes from the frame's start to its payload.
    pub(super) fn payload_offset(&self) -> u64 {
        (HEADER + self.key.len()) as u64
    }

    /// The length of the whole frame.
    fn frame_len(&self) -> u64 {
        self.payload_offset().saturating_add(self.payload_len)
    }

    /// Whether `payload` is what was written.
    pub(super) fn fits(&self, payload: &[u8]) -> bool {
        payload.len() as u64 == self.payload_len && crc32fast::hash(payload) == self.payload_crc
    }

    /// Appends the frame to `out`.
    pub(super) fn write(&self, salt: u64, payload: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        let key_len = u16::try_from(self.key.len()).unwrap_or(u16::MAX);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&[self.kind, 0]);
        out.extend_from_slice(&key_len.to_le_bytes());
        out.extend_from_slice(&self.payload_len.to_le_bytes());
        out.extend_from_slice(&self.time_ms.to_le_bytes());
        out.extend_from_slice(&self.payload_crc.to_le_bytes());
        let key = &self.key[..usize::from(key_len)];
        let crc = head_crc(salt, &out[start..], key);
        out.extend_from_slice(&crc.to_le_bytes());
        out.extend_from_slice(key);
        out.extend_from_slice(payload);
    }
}

fn head_crc(salt: u64, header: &[u8], key: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&salt.to_le_bytes());
    crc.update(header);
    crc.update(key);
    crc.finalize()
}

/// The head at the start of `bytes`, or `None` where no sound head is there.
fn parse(salt: u64, bytes: &[u8]) -> Option<Head> {
    let header = bytes.get(..HEADER)?;
    let number = |at: usize| Some(u64::from_le_bytes(header.get(at..at + 8)?.try_into().ok()?));
    let crc = |at: usize| Some(u32::from_le_bytes(header.get(at..at + 4)?.try_into().ok()?));
    let key_len = usize::from(u16::from_le_bytes([header[6], header[7]]));
    let key = bytes.get(HEADER..HEADER + key_len)?;
    let sound = header.starts_with(MAGIC) && crc(28)? == head_crc(salt, &header[..28], key);
    sound.then_some(Head {
        kind: header[4],
        payload_len: number(8)?,
        time_ms: number(16)?,
        payload_crc: crc(24)?,
        key: key.to_vec(),
    })
}

/// The head and the payload of the frame at `offset`; `None` where the bytes
/// there are not what was written.
pub(super) fn read_at(file: &File, salt: u64, offset: u64) -> io::Result<Option<(Head, Vec<u8>)>> {
    // Most frames are small: one read gets all of it.
    let mut first = vec![0; 4096];
    let have = read_some(file, &mut first, offset)?;
    first.truncate(have);
    if let Some(header) = first.get(6..8) {
        let key_len = usize::from(u16::from_le_bytes([header[0], header[1]]));
        if first.len() == 4096 && first.len() < HEADER + key_len {
            first.resize(HEADER + key_len, 0);
            let have = read_some(file, &mut first, offset)?;
            first.truncate(have);
        }
    }
    let Some(head) = parse(salt, &first) else {
        return Ok(None);
    };
    let start = HEADER + head.key.len();
    let Ok(len) = usize::try_from(head.payload_len) else {
        return Ok(None);
    };
    let payload = match first.get(start..start.saturating_add(len)) {
        Some(payload) => payload.to_vec(),
        None => {
            // A length is trusted with memory only as far as the file goes.
            if file.metadata()?.len() < offset.saturating_add(head.frame_len()) {
                return Ok(None);
            }
            let mut payload = vec![0; len];
            file.read_exact_at(&mut payload, offset + start as u64)?;
            payload
        }
    };
    Ok(head.fits(&payload).then_some((head, payload)))
}

fn read_some(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut have = 0;
    while have < buffer.len() {
        match file.read_at(&mut buffer[have..], offset + have as u64) {
            Ok(0) => break,
            Ok(n) => have += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(have)
}

/// What a scan found after the last frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    /// Where the last sound frame ends.
    pub(super) good: u64,
    /// Whether bytes follow that are no frame: a torn tail.
    pub(super) torn: bool,
}

/// Calls `found` with the offset and head of each frame of the `len` bytes of
/// `file`, from the frame at `from` on. Damage between frames is passed over.
pub(super) fn scan(
    file: &File,
    salt: u64,
    from: u64,
    len: u64,
    mut found: impl FnMut(u64, Head),
) -> io::Result<End> {
    let mut window = Window {
        file,
        start: 0,
        bytes: Vec::new(),
    };
    let mut good = from;
    let mut at = from;
    while at < len {
        match head_at(&mut window, salt, at, len)? {
            Some(head) => {
                let next = at + head.frame_len();
                found(at, head);
                good = next;
                at = next;
            }
            None => match next_magic(&mut window, at + 1, len)? {
                Some(next) => at = next,
                None => break,
            },
        }
    }
    Ok(End {
        good,
        torn: good < len,
    })
}

fn head_at(window: &mut Window<'_>, salt: u64, at: u64, len: u64) -> io::Result<Option<Head>> {
    let header = window.bytes_at(at, HEADER)?;
    if header.len() < HEADER || !header.starts_with(MAGIC) {
        return Ok(None);
    }
    let key_len = usize::from(u16::from_le_bytes([header[6], header[7]]));
    let head = parse(salt, window.bytes_at(at, HEADER + key_len)?);
    Ok(head.filter(|head| at.saturating_add(head.frame_len()) <= len))
}

fn next_magic(window: &mut Window<'_>, from: u64, len: u64) -> io::Result<Option<u64>> {
    let mut at = from;
    while at + HEADER as u64 <= len {
        let bytes = window.bytes_at(at, WINDOW / 2)?;
        if bytes.len() < MAGIC.len() {
            return Ok(None);
        }
        match bytes.windows(MAGIC.len()).position(|four| four == MAGIC) {
            Some(skip) => return Ok(Some(at + skip as u64)),
            None => at += (bytes.len() - MAGIC.len() + 1) as u64,
        }
    }
    Ok(None)
}

/// A stretch of a file in memory.
struct Window<'f> {
    file: &'f File,
    start: u64,
    bytes: Vec<u8>,
}

impl Window<'_> {
    /// Up to `want` bytes at `at`, fewer only at the end of the file.
    fn bytes_at(&mut self, at: u64, want: usize) -> io::Result<&[u8]> {
        let end = self.start + self.bytes.len() as u64;
        if at < self.start || at + want as u64 > end {
            self.bytes.resize(WINDOW.max(want), 0);
            let have = read_some(self.file, &mut self.bytes, at)?;
            self.bytes.truncate(have);
            self.start = at;
        }
        let skip = (at - self.start) as usize;
        let bytes = self.bytes.get(skip..).unwrap_or_default();
        Ok(&bytes[..want.min(bytes.len())])
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed step is a failed test")]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write as _;

    const SALT: u64 = 0x1234_5678_9abc_def0;

    fn file_of(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    fn frames(payloads: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = segment_header(SALT).to_vec();
        for (n, payload) in payloads.iter().enumerate() {
            Head::new(1, format!("key {n}").into_bytes(), payload, n as u64)
                .write(SALT, payload, &mut bytes);
        }
        bytes
    }

    fn keys(file: &File, len: u64) -> (Vec<Vec<u8>>, End) {
        let mut keys = Vec::new();
        let end = scan(file, SALT, SEGMENT_HEADER, len, |_, head| {
            keys.push(head.key)
        })
        .unwrap();
        (keys, end)
    }

    proptest! {
        #[test]
        fn frames_are_read_as_written(payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9000), 0..12)) {
            let bytes = frames(&payloads);
            let file = file_of(&bytes);
            prop_assert_eq!(read_salt(&file).unwrap(), Some(SALT));
            let mut found = Vec::new();
            let end = scan(&file, SALT, SEGMENT_HEADER, bytes.len() as u64, |at, _| found.push(at)).unwrap();
            prop_assert_eq!(end, End { good: bytes.len() as u64, torn: false });
            let read: Vec<_> = found.iter().map(|&at| read_at(&file, SALT, at).unwrap().unwrap().1).collect();
            prop_assert_eq!(read, payloads);
        }

        #[test]
        fn any_damaged_byte_loses_at_most_its_own_frame(at in 16usize..400, flip in 1u8..) {
            let payloads: Vec<Vec<u8>> = (0..6u8).map(|n| vec![n; 20]).collect();
            let mut bytes = frames(&payloads);
            let at = at % (bytes.len() - 16) + 16;
            bytes[at] ^= flip;
            let file = file_of(&bytes);
            let mut sound = 0;
            scan(&file, SALT, SEGMENT_HEADER, bytes.len() as u64, |at, _| {
                if let Some((head, payload)) = read_at(&file, SALT, at).unwrap() {
                    let n: usize = head.time_ms as usize;
                    assert_eq!(payload, payloads[n]);
                    sound += 1;
                }
            }).unwrap();
            prop_assert_eq!(sound, payloads.len() - 1);
        }
    }

    #[test]
    fn file_cut_at_any_byte_keeps_the_whole_frames_before() {
        let payloads: Vec<Vec<u8>> = (0..4u8).map(|n| vec![n; 30]).collect();
        let bytes = frames(&payloads);
        let frame = (bytes.len() - 16) / 4;
        let file = file_of(&bytes);
        for cut in (16..=bytes.len()).rev() {
            file.set_len(cut as u64).unwrap();
            let (keys, end) = keys(&file, cut as u64);
            let whole = (cut - 16) / frame;
            assert_eq!(keys.len(), whole);
            assert_eq!(end.good as usize, 16 + whole * frame);
            assert_eq!(end.torn, !(cut - 16).is_multiple_of(frame));
        }
    }

    #[test]
    fn frames_inside_a_payload_are_never_taken_for_frames() {
        let inner = frames(&[b"false".to_vec()]);
        let salt = SALT + 1;
        let mut bytes = segment_header(salt).to_vec();
        Head::new(1, b"outer".to_vec(), &inner, 0).write(salt, &inner, &mut bytes);
        bytes[16] ^= 1;
        let file = file_of(&bytes);
        let mut found = 0;
        let end = scan(&file, salt, 16, bytes.len() as u64, |_, _| found += 1).unwrap();
        assert_eq!((found, end.good, end.torn), (0, 16, true));
    }

    #[test]
    fn long_key_and_long_payload_are_read_back() {
        let key = vec![b'k'; 60_000];
        let payload = vec![7; 700_000];
        let mut bytes = segment_header(SALT).to_vec();
        Head::new(9, key.clone(), &payload, 1).write(SALT, &payload, &mut bytes);
        Head::new(9, b"next".to_vec(), b"", 1).write(SALT, b"", &mut bytes);
        let file = file_of(&bytes);
        let (keys, end) = keys(&file, bytes.len() as u64);
        assert_eq!(keys, [key, b"next".to_vec()]);
        assert!(!end.torn);
        assert_eq!(read_at(&file, SALT, 16).unwrap().unwrap().1, payload);
    }
}
