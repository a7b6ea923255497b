//! Text in XML 1.0: what drawings and reports for CI are written in. Pure.

/// Text as it may stand in an element or in a quoted attribute. A character
/// that XML 1.0 has no way to hold becomes `U+FFFD`.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            // Also the end of `]]>`, which may not stand in text.
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // In an attribute a reader would make blanks of these.
            '\n' => out.push_str("&#10;"),
            '\r' => out.push_str("&#13;"),
            '\t' => out.push_str("&#9;"),
            '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => {
                out.push('\u{fffd}');
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_can_not_end_what_it_stands_in() {
        assert_eq!(
            escaped("<a b=\"]]>\"> &\n\u{1b}[0m\u{ffff}é"),
            "&lt;a b=&quot;]]&gt;&quot;&gt; &amp;&#10;\u{fffd}[0m\u{fffd}é"
        );
    }
}
