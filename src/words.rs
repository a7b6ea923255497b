//! Words for messages: lists, plurals, shell words, and the nearest name.

/// `` `a`, `b` and `c` ``.
pub fn list<T: AsRef<str>>(names: &[T]) -> String {
    let quoted: Vec<_> = names.iter().map(|n| format!("`{}`", n.as_ref())).collect();
    series(&quoted)
}

/// `a, b and c`.
pub fn series(parts: &[String]) -> String {
    match parts.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

/// `1 card`, `2 cards`.
pub fn count(number: usize, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    }
}

/// A word as a shell takes it, quoted where it has to be.
pub fn shell_word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=+@%,".contains(c);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

/// The name of `known` that `name` was probably meant to be.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (name.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_plurals_are_right() {
        assert_eq!(list(&["a", "b", "c"]), "`a`, `b` and `c`");
        assert_eq!(list(&["a"]), "`a`");
        assert_eq!(count(1, "card"), "1 card");
        assert_eq!(count(0, "card"), "0 cards");
    }

    #[test]
    fn a_shell_word_is_quoted_where_it_has_to_be() {
        let words = [
            "a:prefix=/opt/x-1",
            "",
            "a b",
            "git+file:///x?ref=y",
            "it's",
        ];
        let quoted = [
            "a:prefix=/opt/x-1",
            "''",
            "'a b'",
            "'git+file:///x?ref=y'",
            r"'it'\''s'",
        ];
        assert_eq!(words.map(shell_word), quoted);
    }

    #[test]
    fn the_nearest_name_is_near() {
        assert_eq!(nearest("srever", ["server", "client"]), Some("server"));
        assert_eq!(nearest("zebra", ["server", "client"]), None);
    }
}
