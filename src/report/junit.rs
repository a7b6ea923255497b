//! JUnit's XML, as GitLab, Jenkins and others read it.
//!
//! There is no standard; what is written here is what all of them understand:
//! `testsuites`, `testsuite`, `testcase`, `failure`, `skipped`, with times in
//! seconds. Programs print what they like, so everything that XML 1.0 can't
//! hold is replaced, and no `CDATA` is used that a `]]>` could end.

use std::time::Duration;

use crate::xml::escaped;

/// A suite with its cases.
#[derive(Clone, Debug, Default)]
pub struct Suite {
    /// What it is called.
    pub name: String,
    /// How long all of it took.
    pub took: Duration,
    /// Its cases, in order.
    pub cases: Vec<Case>,
}

/// One case.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it is called.
    pub name: String,
    /// What kind of thing it is; CI groups cases by it.
    pub class: String,
    /// The file that it stands in.
    pub file: String,
    /// How long it took.
    pub took: Duration,
    /// What came of it.
    pub verdict: Verdict,
}

/// What came of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It passed.
    Passed,
    /// It failed: what happened, and the last lines of its output.
    Failed(String, Vec<String>),
    /// It could not be tried: why.
    Skipped(String),
}

impl Suite {
    /// The document.
    pub fn to_xml(&self) -> String {
        let of = |kind: fn(&Verdict) -> bool| {
            let cases = self.cases.iter();
            cases.filter(|case| kind(&case.verdict)).count()
        };
        let counts = format!(
            "name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"{}\" time=\"{}\"",
            escaped(&self.name),
            self.cases.len(),
            of(|verdict| matches!(verdict, Verdict::Failed(..))),
            of(|verdict| matches!(verdict, Verdict::Skipped(_))),
            seconds(self.took),
        );
        let mut xml = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {counts}>\n  <testsuite {counts}>\n"
        );
        for case in &self.cases {
            case.write(&mut xml);
        }
        xml.push_str("  </testsuite>\n</testsuites>\n");
        xml
    }
}

impl Case {
    fn write(&self, xml: &mut String) {
        let start = format!(
            "    <testcase name=\"{}\" classname=\"{}\" file=\"{}\" time=\"{}\"",
            escaped(&self.name),
            escaped(&self.class),
            escaped(&self.file),
            seconds(self.took),
        );
        let inner = match &self.verdict {
            Verdict::Passed => return xml.push_str(&format!("{start}/>\n")),
            Verdict::Failed(message, tail) => {
                let text = match tail.is_empty() {
                    true => escaped(message),
                    false => format!("{}\n{}", escaped(message), escaped_lines(tail)),
                };
                let message = escaped(message);
                format!("<failure message=\"{message}\" type=\"check\">{text}</failure>")
            }
            Verdict::Skipped(message) => format!("<skipped message=\"{}\"/>", escaped(message)),
        };
        xml.push_str(&format!("{start}>\n      {inner}\n    </testcase>\n"));
    }
}

fn escaped_lines(lines: &[String]) -> String {
    let all: Vec<String> = lines.iter().map(|line| escaped(line)).collect();
    all.join("\n")
}

fn seconds(took: Duration) -> String {
    format!("{:.3}", took.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(verdict: Verdict) -> Case {
        Case {
            name: "a<b".into(),
            class: "probe".into(),
            file: "cards/a.md".into(),
            took: Duration::from_millis(1500),
            verdict,
        }
    }

    #[test]
    fn document_counts_and_escapes() {
        let odd = "x ]]> & \u{1b}[31m\0 \u{ffff} \"q\"".to_owned();
        let suite = Suite {
            name: "mikado verify".into(),
            took: Duration::from_secs(2),
            cases: vec![
                case(Verdict::Passed),
                case(Verdict::Failed("two\nlines".into(), vec![odd])),
                case(Verdict::Skipped("not here".into())),
            ],
        };
        assert_eq!(
            suite.to_xml(),
            r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="mikado verify" tests="3" failures="1" errors="0" skipped="1" time="2.000">
  <testsuite name="mikado verify" tests="3" failures="1" errors="0" skipped="1" time="2.000">
    <testcase name="a&lt;b" classname="probe" file="cards/a.md" time="1.500"/>
    <testcase name="a&lt;b" classname="probe" file="cards/a.md" time="1.500">
      <failure message="two&#10;lines" type="check">two&#10;lines
x ]]&gt; &amp; �[31m� � &quot;q&quot;</failure>
    </testcase>
    <testcase name="a&lt;b" classname="probe" file="cards/a.md" time="1.500">
      <skipped message="not here"/>
    </testcase>
  </testsuite>
</testsuites>
"#
        );
    }
}
