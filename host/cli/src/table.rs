//! Tables for people: columns that line up, nothing else, so that they can be cut and searched as well.

use comfy_table::{Cell, ContentArrangement, Table, presets};
use std::io::{self, Write};

/// Prints a table to standard output. Control characters in cells are shown escaped.
pub(crate) fn print(head: &[&str], rows: Vec<Vec<String>>) -> io::Result<()> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled).set_header(head);
    for row in rows {
        table.add_row(row.iter().map(|text| Cell::new(escape(text))));
    }
    if let Some(first) = table.column_mut(0) {
        first.set_padding((0, 1));
    }
    let text = table.lines().map(|line| format!("{}\n", line.trim_end())).collect::<String>();
    io::stdout().write_all(text.as_bytes())
}

fn escape(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}
