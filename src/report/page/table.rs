//! A table in columns that fit: the widest columns give way, and their cells
//! are wrapped.

use comrak::nodes::{Node, NodeTable, NodeValue, TableAlignment};

use super::inline::{self, Run};
use crate::columns::columns;
use crate::diagnostic::Paint;

/// What stands between two columns.
const RULE: &str = " │ ";

/// The narrowest that a column is made.
const NARROW: usize = 8;

pub(super) fn lines(node: Node<'_>, table: &NodeTable, width: usize, paint: Paint) -> Vec<String> {
    let mut rows: Vec<(bool, Vec<Vec<Run>>)> = Vec::new();
    for row in node.children() {
        let is_head = matches!(row.data.borrow().value, NodeValue::TableRow(true));
        let mut cells: Vec<Vec<Run>> = row
            .children()
            .map(|cell| inline::runs(cell, paint))
            .collect();
        if is_head {
            let bold = |run: &mut Run| run.style = run.style.bold();
            cells.iter_mut().flatten().for_each(bold);
        }
        rows.push((is_head, cells));
    }
    let count = rows.iter().map(|(_, cells)| cells.len()).max().unwrap_or(0);
    let mut widths = vec![1; count];
    for (_, cells) in &rows {
        for (width, cell) in widths.iter_mut().zip(cells) {
            *width = inline::natural_width(cell).max(*width);
        }
    }
    fit(
        &mut widths,
        width.saturating_sub(count.saturating_sub(1) * columns(RULE)),
    );
    let mut out = Vec::new();
    for (is_head, cells) in &rows {
        out.extend(row(cells, &widths, table, paint));
        if *is_head {
            let rules: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
            out.push(rules.join("─┼─"));
        }
    }
    out
}

/// Makes the widest columns narrower until all of them fit `room`.
fn fit(widths: &mut [usize], room: usize) {
    loop {
        let all: usize = widths.iter().sum();
        let Some(widest) = widths.iter().copied().max() else {
            return;
        };
        if all <= room || widest <= NARROW {
            return;
        }
        // All of the widest give way together, down to the next widest.
        let of_widest = widths.iter().filter(|width| **width == widest).count();
        let next = widths.iter().copied().filter(|width| *width < widest).max();
        let step = (all - room).div_ceil(of_widest);
        let least = next.unwrap_or(NARROW).max(NARROW);
        let narrower = widest.saturating_sub(step).max(least);
        let each = widths.iter_mut().filter(|width| **width == widest);
        each.for_each(|width| *width = narrower);
    }
}

fn row(cells: &[Vec<Run>], widths: &[usize], table: &NodeTable, paint: Paint) -> Vec<String> {
    // Widths are counted on the text without escapes.
    let wrap = |paint: Paint| -> Vec<Vec<String>> {
        let cells = cells.iter().zip(widths);
        cells
            .map(|(cell, width)| inline::lines(cell, *width, paint))
            .collect()
    };
    let (painted, plain) = (wrap(paint), wrap(Paint(false)));
    let height = painted.iter().map(Vec::len).max().unwrap_or(0);
    let line = |number: usize| {
        let cells = widths.iter().enumerate().map(|(column, width)| {
            let text = |cells: &[Vec<String>]| {
                let line = cells.get(column).and_then(|cell| cell.get(number));
                line.cloned().unwrap_or_default()
            };
            let free = width.saturating_sub(columns(&text(&plain)));
            let left = match table.alignments.get(column) {
                Some(TableAlignment::Right) => free,
                Some(TableAlignment::Center) => free / 2,
                _ => 0,
            };
            let (left, right) = (" ".repeat(left), " ".repeat(free - left));
            format!("{left}{}{right}", text(&painted))
        });
        cells.collect::<Vec<_>>().join(RULE)
    };
    (0..height).map(line).collect()
}
