//! Text in the columns of a terminal: how wide it is, cut, filled up, wrapped.
//!
//! Widths are those of `wcwidth`, which terminals go by; letters with their
//! accents, and emoji of several characters, are never torn. What is written
//! to a pipe is neither cut nor wrapped: [`Screen::columns`] is `None` there.
//! Pure.

use unicode_width::UnicodeWidthChar as _;

use crate::diagnostic::Paint;

/// What is written to: a terminal with its width, or something without one.
#[derive(Clone, Copy, Debug)]
pub struct Screen {
    /// How many columns a terminal has; `None` where nobody looks.
    pub columns: Option<usize>,
    /// Whether there is colour.
    pub paint: Paint,
}

impl Screen {
    /// No terminal, and no colour.
    pub const PLAIN: Screen = Screen {
        columns: None,
        paint: Paint(false),
    };

    /// The text as one line that fits what is left after `used` columns, with
    /// `…` where something was cut off. Control characters become spaces.
    pub fn rest(self, text: &str, used: usize) -> String {
        let text = one_line(text);
        match self.columns {
            // A few letters say nothing; then the line had better wrap.
            Some(columns) if columns >= used + 8 => cut(&text, columns - used),
            _ => text,
        }
    }

    /// The text in lines that fit, all but the first after `indent` spaces;
    /// the first has `used` columns before it.
    pub fn wrapped(self, text: &str, used: usize, indent: usize) -> String {
        let Some(columns) = self.columns else {
            return text.to_owned();
        };
        let width = columns.saturating_sub(indent).max(20);
        let lines = wrap_after(text, used.saturating_sub(indent), width);
        lines.join(&format!("\n{}", " ".repeat(indent)))
    }
}

/// How many columns a text takes on a terminal; a tab takes four here.
pub fn columns(text: &str) -> usize {
    text.chars().map(char_columns).sum()
}

fn char_columns(c: char) -> usize {
    match c {
        '\t' => 4,
        c => c.width().unwrap_or(1),
    }
}

/// The text in one line, with control characters as spaces: what a card says
/// must not move a terminal's cursor.
pub fn one_line(text: &str) -> String {
    text.replace(|c: char| c.is_control(), " ")
}

/// The text filled up with spaces to `width` columns.
pub fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(columns(text))))
}

/// As much of the start of `text` as fits `width` columns, with `…` at the end
/// where something was cut off.
pub fn cut(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let mut used = 0;
    let mut kept = String::new();
    for cluster in clusters(text) {
        used += columns(cluster);
        if used + 1 > width {
            break;
        }
        kept.push_str(cluster);
    }
    format!("{}…", kept.trim_end())
}

/// The end of `text` that fits `width` columns.
pub fn last(text: &str, width: usize) -> String {
    let mut used = 0;
    let mut start = text.len();
    for cluster in clusters(text).collect::<Vec<_>>().into_iter().rev() {
        used += columns(cluster);
        if used > width {
            break;
        }
        start -= cluster.len();
    }
    text[start..].to_owned()
}

/// The text in lines of at most `width` columns, broken at spaces and between
/// wide characters. A longer word has a line of its own, whole: names and paths
/// are there to be copied.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    wrap_after(text, 0, width)
}

fn wrap_after(text: &str, used: usize, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut filled = used;
    for (space, piece) in pieces(text) {
        let wide = columns(piece);
        let gap = usize::from(space && filled > 0);
        if filled > 0 && filled + gap + wide > width {
            lines.push(String::new());
            filled = 0;
        } else if gap == 1 {
            if let Some(line) = lines.last_mut() {
                line.push(' ');
            }
            filled += 1;
        }
        if let Some(line) = lines.last_mut() {
            line.push_str(piece);
        }
        filled += wide;
    }
    lines
}

/// What a line is broken between: words, and within a word each wide character.
/// Says whether white space stands before the piece.
pub fn pieces(text: &str) -> impl Iterator<Item = (bool, &str)> {
    text.split_whitespace().flat_map(|word| {
        let mut starts = vec![0];
        let mut at = 0;
        let mut was_wide = false;
        for cluster in clusters(word) {
            let is_wide = columns(cluster) > 1;
            // Closing marks of Chinese and Japanese stay with what they close.
            let closes =
                cluster.starts_with(['、', '。', '，', '．', '」', '』', '）', '！', '？', '：']);
            if at > 0 && (is_wide || was_wide) && !closes {
                starts.push(at);
            }
            was_wide = is_wide;
            at += cluster.len();
        }
        starts.push(word.len());
        let bounds: Vec<(usize, usize)> = starts.windows(2).map(|w| (w[0], w[1])).collect();
        bounds
            .into_iter()
            .map(move |(start, end)| (start == 0, &word[start..end]))
    })
}

/// The characters as they are seen: with what combines with them.
pub fn clusters(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let mut chars = rest.char_indices();
        let (_, first) = chars.next()?;
        let mut before = first;
        let mut flags = usize::from(is_flag(first));
        let end = chars.find_map(|(at, c)| {
            let flag_pair = is_flag(c) && flags == 1;
            let joins = c.width() == Some(0) || is_skin(c) || before == '\u{200d}' || flag_pair;
            before = c;
            flags = if flag_pair { 2 } else { flags };
            (!joins || c.is_control()).then_some(at)
        });
        let (cluster, others) = rest.split_at(end.unwrap_or(rest.len()));
        rest = others;
        Some(cluster)
    })
}

fn is_flag(c: char) -> bool {
    ('\u{1f1e6}'..='\u{1f1ff}').contains(&c)
}

fn is_skin(c: char) -> bool {
    ('\u{1f3fb}'..='\u{1f3ff}').contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_together_is_not_torn() {
        let text = "e\u{301}a👩\u{200d}🔧🇩🇪🇫🇷👍🏽";
        let seen: Vec<&str> = clusters(text).collect();
        assert_eq!(seen, ["e\u{301}", "a", "👩\u{200d}🔧", "🇩🇪", "🇫🇷", "👍🏽"]);
        assert_eq!(seen.concat(), text);
    }

    #[test]
    fn a_long_text_is_cut_with_a_mark_and_a_short_one_is_not() {
        assert_eq!(cut("short", 5), "short");
        assert_eq!(cut("a longer one", 9), "a longer…");
        assert_eq!(cut("日本語の題", 6), "日本…");
        assert_eq!(last("日本語", 5), "本語");
    }

    #[test]
    fn lines_are_broken_at_spaces_and_between_wide_characters() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("日本語の題、名", 7), ["日本語", "の題、", "名"]);
        let word = "a-name-that-is-longer";
        assert_eq!(wrap(&format!("a {word} b"), 8), ["a", word, "b"]);
    }

    #[test]
    fn nothing_is_cut_or_wrapped_where_nobody_looks() {
        let long = "word ".repeat(100);
        assert_eq!(Screen::PLAIN.rest(&long, 10), long);
        assert_eq!(Screen::PLAIN.wrapped(&long, 0, 4), long);
        let screen = Screen {
            columns: Some(40),
            ..Screen::PLAIN
        };
        assert_eq!(columns(&screen.rest(&long, 10)), 29);
        let wrapped = screen.wrapped(&long, 10, 4);
        assert!(
            wrapped
                .lines()
                .skip(1)
                .all(|line| line.starts_with("    w"))
        );
        assert!(wrapped.lines().all(|line| columns(line) <= 40), "{wrapped}");
        assert_eq!(one_line("a\u{1b}[31m\nb"), "a [31m b");
    }
}
