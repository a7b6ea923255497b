//! Titles in the boxes of a picture: how wide a letter is, and what fits.
//!
//! A picture is drawn by programs with fonts that are not known here, so widths
//! are those of DejaVu Sans, one of the widest of the usual ones, and a title
//! fits with any other. Pure.

use crate::columns::{clusters, columns, pieces};

/// The width of a text in thousandths of the size of its letters.
fn width(text: &str) -> u32 {
    clusters(text).map(cluster_width).sum()
}

fn cluster_width(cluster: &str) -> u32 {
    match cluster.chars().next().unwrap_or(' ') {
        'i' | 'j' | 'l' | '\'' => 280,
        ' ' | ',' | '.' | ';' | ':' | '|' | '!' | 'I' | '`' => 340,
        'f' | 'r' | 't' | '(' | ')' | '[' | ']' | '-' | '/' | '\\' | '"' => 410,
        'c' | 'k' | 's' | 'v' | 'x' | 'y' | 'z' | 'J' => 590,
        'w' | 'C' | 'D' | 'G' | 'H' | 'N' | 'O' | 'Q' | 'U' => 800,
        'm' | 'M' | 'W' | '%' | '@' | '…' | '—' => 1000,
        c if c.is_ascii_lowercase() || c.is_ascii_digit() => 640,
        c if c.is_ascii() => 720,
        // Emoji are a little wider than their letters are high.
        _ if columns(cluster) > 1 => 1250,
        _ => 700,
    }
}

/// As much of `text` as fits, with `…` where something is left out.
fn shortened(text: &str, room: u32) -> String {
    let mut used = width("…");
    let mut kept = String::new();
    for cluster in clusters(text) {
        used += width(cluster);
        if used > room {
            break;
        }
        kept.push_str(cluster);
    }
    format!("{}…", kept.trim_end())
}

/// A title in at most `lines` lines of `room` thousandths of the letters' size.
/// A word that is too long is broken after `-`, `_`, `/` or `.`, or anywhere;
/// what does not fit at all ends in `…`.
pub fn lines(title: &str, room: u32, lines: usize) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut line = String::new();
    for (space, piece) in pieces(title) {
        let gap = if space && !line.is_empty() { " " } else { "" };
        if width(&line) + width(gap) + width(piece) <= room {
            line.push_str(gap);
            line.push_str(piece);
            continue;
        }
        // A long word fills what is left of a line rather than leave it empty.
        let mut rest = piece;
        if width(piece) <= room {
            all.push(std::mem::take(&mut line));
        } else {
            line.push_str(gap);
        }
        while !rest.is_empty() && width(&line) + width(rest) > room {
            let (head, tail) = broken(rest, room.saturating_sub(width(&line)));
            if head.is_empty() && line.trim().is_empty() {
                break;
            }
            line.push_str(head);
            all.push(std::mem::take(&mut line).trim_end().to_owned());
            rest = tail;
            if all.len() > lines {
                break;
            }
        }
        line.push_str(rest);
        if all.len() > lines {
            break;
        }
    }
    if !line.is_empty() || all.is_empty() {
        all.push(line);
    }
    all.retain(|line| !line.is_empty() || title.trim().is_empty());
    if all.len() > lines {
        let rest = all.split_off(lines.max(1)).join(" ");
        if let Some(last) = all.last_mut() {
            *last = shortened(&format!("{last} {rest}"), room);
        }
    }
    all
}

/// The start of a word that fits, up to a mark where there is one, and the rest.
fn broken(word: &str, room: u32) -> (&str, &str) {
    let mut used = 0;
    let mut at = 0;
    let mut mark = 0;
    for cluster in clusters(word) {
        used += width(cluster);
        if used > room {
            break;
        }
        at += cluster.len();
        if cluster.starts_with(['-', '_', '/', '.']) {
            mark = at;
        }
    }
    let at = if mark > 0 { mark } else { at };
    word.split_at(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: u32 = 13_000;

    #[test]
    fn short_titles_have_one_line_and_long_ones_are_shortened() {
        assert_eq!(lines("Build the wall", ROOM, 2), ["Build the wall"]);
        let long = lines(&"Write a title of many words ".repeat(4), ROOM, 2);
        assert_eq!(long.len(), 2);
        assert!(long[1].ends_with('…'), "{long:?}");
        assert!(long.iter().all(|line| width(line) <= ROOM), "{long:?}");
        assert_eq!(lines("", ROOM, 2), [""]);
    }

    #[test]
    fn long_words_are_broken_where_they_have_a_joint() {
        let long = lines("authentik-api-client-generation", ROOM, 2);
        assert_eq!(long, ["authentik-api-client-", "generation"]);
        let one = lines(&"x".repeat(100), ROOM, 2);
        assert!(one.len() == 2 && one[1].ends_with("x…"), "{one:?}");
    }

    #[test]
    fn wide_letters_take_more_room_and_emoji_are_not_torn() {
        let wide = lines("日本語の題名はここに書かれている、とても長い題名", ROOM, 2);
        assert!(
            wide[0].chars().count() <= 10 && wide[1].ends_with('…'),
            "{wide:?}"
        );
        let emoji = lines(&"👩\u{200d}🔧".repeat(30), ROOM, 2);
        assert!(
            emoji
                .iter()
                .all(|line| !line.trim_end_matches('…').ends_with('\u{200d}'))
        );
    }
}
