//! Replacing secrets in a stream of bytes by `***`.
//!
//! It works on bytes, so output that is no text passes unharmed, and a secret
//! is found across the borders of chunks: bytes that may begin one are held
//! back until more arrive, or the stream ends. Secrets that overlap are
//! masked as one. What is masked is exact: an encoding that `forms` does not
//! list is not recognised.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// What a secret becomes.
const MASK: &[u8] = b"***";

/// A shorter value is no secret that could be masked: it would be found everywhere.
pub const SHORTEST_SECRET: usize = 4;

/// A stream of bytes on its way to a log.
pub(super) struct Mask {
    /// The longest first, so that the longest one at a place is found first.
    secrets: Vec<Vec<u8>>,
    begins: [bool; 256],
    held: Vec<u8>,
    /// How many of the held bytes are part of a secret that was masked already.
    masked: usize,
}

impl Mask {
    /// A mask for these values; those shorter than `SHORTEST_SECRET` are passed over.
    pub(super) fn new(secrets: &[Vec<u8>]) -> Mask {
        let mut secrets: Vec<Vec<u8>> = secrets
            .iter()
            .filter(|secret| secret.len() >= SHORTEST_SECRET)
            .cloned()
            .collect();
        secrets.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        secrets.dedup();
        let mut begins = [false; 256];
        for first in secrets.iter().filter_map(|secret| secret.first()) {
            begins[usize::from(*first)] = true;
        }
        Mask {
            secrets,
            begins,
            held: Vec::new(),
            masked: 0,
        }
    }

    /// Whether there is nothing to mask, so that bytes may go past it.
    pub(super) fn is_empty(&self) -> bool {
        self.secrets.is_empty()
    }

    /// Takes the next bytes; what can be said of the stream by now is appended to `out`.
    pub(super) fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.held.extend(bytes);
        self.pass(false, out);
    }

    /// The end of the stream.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        self.pass(true, out);
    }

    fn pass(&mut self, last: bool, out: &mut Vec<u8>) {
        let bytes = std::mem::take(&mut self.held);
        let mut at = 0;
        let mut masked = self.masked;
        while at < bytes.len() {
            let rest = &bytes[at..];
            let plain = rest
                .iter()
                .take_while(|byte| !self.begins[usize::from(**byte)])
                .count();
            if plain > 0 {
                let next = at + plain;
                out.extend(&bytes[next.min(at.max(masked))..next]);
                at = next;
                continue;
            }
            match self
                .secrets
                .iter()
                .find_map(|secret| meet(secret, rest, last))
            {
                Some(Meeting::Whole(length)) => {
                    if at >= masked {
                        out.extend(MASK);
                    }
                    masked = masked.max(at + length);
                }
                Some(Meeting::Begun) => break,
                None => {}
            }
            if at >= masked {
                out.push(bytes[at]);
            }
            at += 1;
        }
        self.held = bytes[at..].to_vec();
        self.masked = masked.saturating_sub(at);
    }
}

enum Meeting {
    Whole(usize),
    Begun,
}

fn meet(secret: &[u8], rest: &[u8], last: bool) -> Option<Meeting> {
    if rest.starts_with(secret) {
        Some(Meeting::Whole(secret.len()))
    } else if !last && secret.starts_with(rest) {
        Some(Meeting::Begun)
    } else {
        None
    }
}

/// The forms in which programs show a secret: as it is, each of its lines, percent-encoded, and in base64.
pub(super) fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = vec![secret.to_vec(), percent_encoded(secret)];
    forms.extend(
        secret
            .split(|byte| matches!(byte, b'\n' | b'\r'))
            .map(<[u8]>::to_vec),
    );
    for engine in [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
        forms.push(engine.encode(secret).into_bytes());
    }
    forms.retain(|form| form.len() >= SHORTEST_SECRET);
    forms.sort();
    forms.dedup();
    forms
}

/// All but the unreserved characters of RFC 3986, section 2.3, as `%XX`.
fn percent_encoded(bytes: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::new();
    for byte in bytes {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(*byte)
            }
            _ => encoded.extend(format!("%{byte:02X}").bytes()),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn masked(secrets: &[&str], chunks: &[&str]) -> String {
        let secrets: Vec<Vec<u8>> = secrets
            .iter()
            .map(|secret| secret.as_bytes().to_vec())
            .collect();
        let mut mask = Mask::new(&secrets);
        let mut out = Vec::new();
        for chunk in chunks {
            mask.push(chunk.as_bytes(), &mut out);
        }
        mask.finish(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn a_secret_across_chunks_is_masked() {
        assert_eq!(masked(&["s3cret"], &["a s3", "c", "ret b"]), "a *** b");
        assert_eq!(masked(&["s3cret"], &["s3crets3cret"]), "******");
    }

    #[test]
    fn what_only_began_like_a_secret_comes_out_whole() {
        assert_eq!(
            masked(&["s3cret"], &["a s3c", "r", "a ss3cre"]),
            "a s3cra ss3cre"
        );
    }

    #[test]
    fn the_longest_secret_at_a_place_is_taken() {
        assert_eq!(
            masked(&["token", "token-long"], &["token", "-long token-l"]),
            "*** ***-l"
        );
    }

    #[test]
    fn overlapping_secrets_leave_no_remainder() {
        assert_eq!(masked(&["abcd", "cdef"], &["xab", "cd", "efy"]), "x***y");
        assert_eq!(masked(&["abcd", "cdef"], &["xabcdey"]), "x***ey");
    }

    #[test]
    fn short_values_are_not_masked() {
        assert_eq!(masked(&["abc", ""], &["abc"]), "abc");
    }

    #[test]
    fn the_forms_of_a_secret_are_what_programs_print() {
        let forms = forms(b"me:p@ss\nword");
        for form in [
            "me:p@ss\nword",
            "me:p@ss",
            "word",
            "me%3Ap%40ss%0Aword",
            "bWU6cEBzcwp3b3Jk",
        ] {
            assert!(forms.contains(&form.as_bytes().to_vec()), "{form}");
        }
    }

    /// The same without chunks and without holding back.
    fn naive(secrets: &[Vec<u8>], text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut masked = 0;
        for at in 0..text.len() {
            let longest = secrets
                .iter()
                .filter(|secret| text[at..].starts_with(secret))
                .map(Vec::len)
                .max();
            if let Some(length) = longest {
                if at >= masked {
                    out.extend(MASK);
                }
                masked = masked.max(at + length);
            }
            if at >= masked {
                out.push(text[at]);
            }
        }
        out
    }

    proptest! {
        #[test]
        fn chunks_never_change_what_is_masked(
            secrets in vec(vec(0..3u8, 4..7), 0..4),
            chunks in vec(vec(0..3u8, 0..9), 0..9),
        ) {
            let mut mask = Mask::new(&secrets);
            let mut out = Vec::new();
            chunks.iter().for_each(|chunk| mask.push(chunk, &mut out));
            mask.finish(&mut out);
            prop_assert_eq!(out, naive(&secrets, &chunks.concat()));
        }
    }
}
