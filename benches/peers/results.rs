//! What was measured, as medians, ratios and a page of Markdown.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use crate::launch::Sample;
use crate::round::Case;
use crate::tool::{TOOLS, Tool};

/// The tool that "nothing to do" and "one input changed" are compared with.
const PEER: &str = "ninja";

type Name = &'static str;

/// All samples: by case, size, tool and repetition.
#[derive(Default)]
pub(crate) struct Results {
    samples: BTreeMap<(Case, usize, Name, usize), Vec<Sample>>,
}

impl Results {
    /// Takes what a round of a tool gave.
    pub(crate) fn add(
        &mut self,
        size: usize,
        tool: &Tool,
        repetition: usize,
        samples: Vec<(Case, Sample)>,
    ) {
        for (case, sample) in samples {
            let place = (case, size, tool.name, repetition);
            self.samples.entry(place).or_default().push(sample);
        }
    }

    /// The page.
    pub(crate) fn page<'a>(
        &self,
        machine: &str,
        versions: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> String {
        let versions: Vec<String> = versions
            .filter(|(name, _)| !name.starts_with("limit") && !name.contains(','))
            .map(|(name, version)| format!("{name} {version}").trim_end().to_owned())
            .collect();
        let mut page = format!(
            "# Beside the peers\n\nWritten by `cargo bench --bench peers -- --write`; do not edit. \
             What is measured is said in ARCHITECTURE.md.\n\nMeasured on {machine} {}.\n\n\
             Times are medians, (least..most); compare them only with each other. x is the median of \
             the ratios within a repetition.\n",
            versions.join(", ")
        );
        let quick = [
            (Case::Nothing, "Nothing to do", "to ninja"),
            (
                Case::Changed,
                "One input changed, 8 tasks executed",
                "to ninja",
            ),
            (
                Case::Cold,
                "Cold, every task executed",
                "to the limit of the same shell",
            ),
            (
                Case::Restored,
                "Outputs gone, restored from the cache",
                "to nothing to do",
            ),
        ];
        for (case, title, to) in quick {
            self.table(
                &mut page,
                case,
                &format!("{title} (x: {to})"),
                |size, name| self.timing(case, size, name),
            );
        }
        self.table(
            &mut page,
            Case::Cold,
            "Cold: CPU time a task, ms",
            |size, name| {
                let cpu = self.median(Case::Cold, size, name, |sample| sample.cpu.as_secs_f64())?;
                Some(format!("{:.2}", cpu * 1e3 / size as f64))
            },
        );
        self.table(
            &mut page,
            Case::Nothing,
            "Nothing to do: peak memory of the largest process, MB",
            |size, name| {
                let peak = self.median(Case::Nothing, size, name, |sample| sample.peak as f64)?;
                Some(format!("{:.1}", peak / 1e6))
            },
        );
        page
    }

    /// Adds a table, a line a tool and a column a size; nothing without a cell.
    fn table(
        &self,
        page: &mut String,
        case: Case,
        title: &str,
        cell: impl Fn(usize, Name) -> Option<String>,
    ) {
        let of_case = || self.samples.keys().filter(|place| place.0 == case);
        let sizes: BTreeSet<usize> = of_case().map(|place| place.1).collect();
        let names: BTreeSet<Name> = of_case().map(|place| place.2).collect();
        if names.is_empty() {
            return;
        }
        let _ = write!(page, "\n## {title}\n\n| tool |");
        for size in &sizes {
            let _ = write!(page, " {} |", thousands(*size));
        }
        let rules = " --- |".repeat(sizes.len());
        let _ = write!(page, "\n| --- |{rules}\n");
        for tool in TOOLS.iter().filter(|tool| names.contains(tool.name)) {
            let cells: Vec<String> = sizes
                .iter()
                .map(|&size| cell(size, tool.name).unwrap_or_else(|| "-".to_owned()))
                .collect();
            let _ = writeln!(page, "| {} | {} |", tool.name, cells.join(" | "));
        }
    }

    /// The time of a case with its spread and ratio.
    fn timing(&self, case: Case, size: usize, name: Name) -> Option<String> {
        let wall = |sample: &Sample| sample.wall.as_secs_f64();
        let all = self.all(case, size, name).map(wall);
        let (least, most) = all.fold((f64::MAX, 0_f64), |(least, most), time| {
            (least.min(time), most.max(time))
        });
        let median = self.median(case, size, name, wall)?;
        let mut text = format!(
            "{} ({}..{})",
            duration(median),
            duration(least),
            duration(most)
        );
        let (other_case, other) = match case {
            Case::Nothing | Case::Changed => (case, PEER),
            Case::Cold => (case, TOOLS.iter().find(|tool| tool.name == name)?.limit),
            Case::Restored => (Case::Nothing, name),
        };
        let ratio = self.ratio((case, name), (other_case, other), size);
        if let Some(ratio) = ratio.filter(|_| (case, name) != (other_case, other)) {
            let _ = write!(text, " **x{ratio:.2}**");
        }
        Some(text)
    }

    /// The median of the ratios of two medians within a repetition.
    fn ratio(&self, of: (Case, Name), to: (Case, Name), size: usize) -> Option<f64> {
        let wall = |samples: &[Sample]| middle(samples.iter().map(|s| s.wall.as_secs_f64()));
        let repetitions = self.samples.iter().filter_map(|(place, samples)| {
            let &(case, of_size, name, repetition) = place;
            if (case, name, of_size) != (of.0, of.1, size) {
                return None;
            }
            let other = self.samples.get(&(to.0, size, to.1, repetition))?;
            Some(wall(samples)? / wall(other)?)
        });
        middle(repetitions)
    }

    fn all(&self, case: Case, size: usize, name: Name) -> impl Iterator<Item = &Sample> {
        let wanted = (case, size, name);
        self.samples
            .iter()
            .filter(move |(place, _)| (place.0, place.1, place.2) == wanted)
            .flat_map(|(_, samples)| samples)
    }

    fn median(
        &self,
        case: Case,
        size: usize,
        name: Name,
        value: impl Fn(&Sample) -> f64,
    ) -> Option<f64> {
        middle(self.all(case, size, name).map(value))
    }
}

/// The median; of two in the middle, the mean.
fn middle(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[half]),
        _ => Some(f64::midpoint(values[half - 1], values[half])),
    }
}

/// Seconds as people read them, with two or three digits.
fn duration(seconds: f64) -> String {
    let milliseconds = Duration::from_secs_f64(seconds).as_secs_f64() * 1e3;
    match milliseconds {
        ..10.0 => format!("{milliseconds:.2} ms"),
        ..100.0 => format!("{milliseconds:.1} ms"),
        ..1_000.0 => format!("{milliseconds:.0} ms"),
        ..100_000.0 => format!("{seconds:.2} s"),
        _ => format!("{seconds:.0} s"),
    }
}

/// A number with commas: `10,000`.
fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<String> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(|group| String::from_utf8_lossy(group).into_owned())
        .collect();
    groups.join(",")
}
