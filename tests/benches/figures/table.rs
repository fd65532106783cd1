//! The one table: every figure beside its floor, and whether the target is met.

use std::fmt::Write;

/// What a figure must be.
#[derive(Clone, Copy, Debug)]
pub enum Target {
    /// The ratio is at least this.
    AtLeast(f64),
    /// The ratio is at most this.
    AtMost(f64),
    /// The figure itself is below this; not a ratio, so it says something of this machine only.
    Below(f64),
    /// The figure itself is at least this; not a ratio either.
    Above(f64),
    /// Only for orientation.
    None,
}

/// One line.
#[derive(Clone, Debug)]
pub struct Row {
    /// What was measured.
    pub figure: String,
    /// The figure.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// What it is held against, in the same unit, measured in the same rounds.
    pub floor: Option<f64>,
    /// What that is.
    pub floor_name: &'static str,
    /// What must hold.
    pub target: Target,
    /// What else was seen.
    pub note: String,
}

impl Row {
    /// A figure without floor or target.
    pub fn new(figure: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self {
            figure: figure.into(),
            value,
            unit,
            floor: None,
            floor_name: "",
            target: Target::None,
            note: String::new(),
        }
    }

    /// Beside this floor.
    #[must_use]
    pub fn floor(self, name: &'static str, value: f64) -> Self {
        Self { floor: Some(value), floor_name: name, ..self }
    }

    /// With this target.
    #[must_use]
    pub fn target(self, target: Target) -> Self {
        Self { target, ..self }
    }

    /// With this note.
    #[must_use]
    pub fn note(self, note: impl Into<String>) -> Self {
        Self { note: note.into(), ..self }
    }

    fn ratio(&self) -> Option<f64> {
        self.floor.map(|floor| self.value / floor)
    }

    fn met(&self) -> Option<bool> {
        let ratio = self.ratio();
        match self.target {
            Target::AtLeast(least) => ratio.map(|ratio| ratio >= least),
            Target::AtMost(most) => ratio.map(|ratio| ratio <= most),
            Target::Below(most) => Some(self.value < most),
            Target::Above(least) => Some(self.value >= least),
            Target::None => None,
        }
    }

    fn cells(&self) -> [String; 7] {
        let target = match self.target {
            Target::AtLeast(least) => format!("≥ {least} ×"),
            Target::AtMost(most) => format!("≤ {most} ×"),
            Target::Below(most) => format!("< {most} {}", self.unit),
            Target::Above(least) => format!("≥ {least} {}", self.unit),
            Target::None => String::new(),
        };
        let met = self.met().map_or("", |met| if met { "met" } else { "MISSED" });
        let floor = self.floor.map_or(String::new(), |floor| {
            let name = self.floor_name;
            format!("{} ({name})", shown(floor, self.unit))
        });
        [
            self.figure.clone(),
            self.ratio().map_or(String::new(), |ratio| format!("{ratio:.2}")),
            target,
            met.to_owned(),
            shown(self.value, self.unit),
            floor,
            self.note.clone(),
        ]
    }
}

const HEAD: [&str; 7] = ["figure", "ratio", "target", "", "here", "floor here", "note"];

/// A number with its unit, with as many digits as mean something.
fn shown(value: f64, unit: &str) -> String {
    let number = match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    };
    format!("{number} {unit}")
}

/// The table as text, columns aligned.
pub fn text(rows: &[Row]) -> String {
    let lines: Vec<[String; 7]> =
        std::iter::once(HEAD.map(str::to_owned)).chain(rows.iter().map(Row::cells)).collect();
    let widths: [usize; 7] = std::array::from_fn(|column| {
        lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0)
    });
    let mut out = String::new();
    for line in &lines {
        for (cell, width) in line.iter().zip(widths) {
            let _ = write!(out, "{cell:<width$}  ");
        }
        out.truncate(out.trim_end().len());
        out.push('\n');
    }
    out
}

/// The table as Markdown.
pub fn markdown(rows: &[Row]) -> String {
    let mut out = String::from(
        "| figure | ratio | target | | here | floor here | note |\n|---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let _ = writeln!(out, "| {} |", row.cells().join(" | "));
    }
    out
}
