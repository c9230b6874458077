//! Text for a terminal: paragraphs, fields and tables that keep within a given width.
//!
//! Nothing is ever wider than the page: a cell that does not fit is wrapped, a word that does not
//! fit is cut, and where a row may only be so high, `…` stands for the rest. Text from elsewhere
//! (titles, errors of a service) loses its control characters here, so that it cannot write over
//! what stands on the screen.
//!
//! Widths are those of Unicode, measured per character; colour is put on afterwards and changes
//! no width.

use unicode_width::UnicodeWidthChar;

use crate::ui::Paint;

/// The space between two columns.
const GAP: usize = 2;

/// Lines of at most `width` columns.
#[derive(Clone, Debug)]
pub struct Page {
    width: usize,
    lines: Vec<Line>,
}

/// One line, as pieces with their colours.
type Line = Vec<Cell>;

/// A text and its colour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    text: String,
    paint: Option<Paint>,
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: text.into(), paint: None }
    }
}

impl Cell {
    /// A text in a colour.
    pub fn painted(text: impl Into<String>, paint: impl Into<Option<Paint>>) -> Self {
        Self { text: text.into(), paint: paint.into() }
    }
}

/// A row of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub cells: Vec<Cell>,
    /// A sentence that stands below the row, over the whole width.
    pub note: Option<Cell>,
}

/// A label and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    label: &'a str,
    value: Cell,
    height: usize,
}

impl<'a> Field<'a> {
    /// A field that is as high as its value needs.
    pub fn new(label: &'a str, value: impl Into<Cell>) -> Self {
        Self { label, value: value.into(), height: usize::MAX }
    }

    /// A field of at most `height` lines.
    pub fn at_most(height: usize, label: &'a str, value: impl Into<Cell>) -> Self {
        Self { label, value: value.into(), height }
    }
}

impl Page {
    /// An empty page. Less than 40 columns are taken as 40.
    pub fn new(width: usize) -> Self {
        Self { width: width.max(40), lines: Vec::new() }
    }

    /// Adds a section's heading, with an empty line above unless it is the first line.
    pub fn heading(&mut self, text: &str) {
        if !self.lines.is_empty() {
            self.blank();
        }
        self.paragraph(Cell::painted(text, Paint::Strong));
    }

    /// Adds an empty line.
    pub fn blank(&mut self) {
        self.lines.push(Vec::new());
    }

    /// Adds a text, wrapped.
    pub fn paragraph(&mut self, text: impl Into<Cell>) {
        let cell = text.into();
        let wrapped = wrap(&cell.text, self.width);
        self.lines.extend(wrapped.into_iter().map(|text| vec![Cell { text, paint: cell.paint }]));
    }

    /// Adds rows of a label and a value.
    pub fn fields(&mut self, fields: Vec<Field<'_>>) {
        let heights: Vec<usize> = fields.iter().map(|field| field.height).collect();
        let row = |field: Field<'_>| vec![Cell::painted(field.label, Paint::Faint), field.value];
        let rows: Vec<Vec<Cell>> = fields.into_iter().map(row).collect();
        let widths = self.widths(&rows);
        for (row, height) in rows.iter().zip(heights) {
            self.row(row, &widths, height);
        }
    }

    /// Adds a table. Columns that are empty in every row are left out with their heads.
    pub fn table(&mut self, head: &[&str], rows: &[Vec<Cell>]) {
        let rows: Vec<Row> =
            rows.iter().map(|cells| Row { cells: cells.clone(), note: None }).collect();
        self.noted_table(head, &rows);
    }

    /// Adds a table whose rows may have a sentence below them.
    pub fn noted_table(&mut self, head: &[&str], rows: &[Row]) {
        let used = |column: &usize| rows.iter().any(|row| !row.cells[*column].text.is_empty());
        let columns: Vec<usize> = (0..head.len()).filter(used).collect();
        let pick = |row: &[Cell]| columns.iter().map(|column| row[*column].clone()).collect();
        let head: Vec<Cell> =
            head.iter().map(|title| Cell::painted(*title, Paint::Faint)).collect();
        let all =
            std::iter::once(head.as_slice()).chain(rows.iter().map(|row| row.cells.as_slice()));
        let cells: Vec<Vec<Cell>> = all.map(pick).collect();
        let widths = self.widths(&cells);
        self.row(&cells[0], &widths, usize::MAX);
        for (row, cells) in rows.iter().zip(&cells[1..]) {
            self.row(cells, &widths, usize::MAX);
            if let Some(note) = &row.note {
                self.row(&["".into(), note.clone()], &[0, self.width - GAP], usize::MAX);
            }
        }
    }

    /// The widths of columns that hold these rows and fit the page.
    fn widths(&self, rows: &[Vec<Cell>]) -> Vec<usize> {
        let columns = rows.first().map_or(0, Vec::len);
        let column = |column: usize| {
            let texts = rows.iter().map(|row| clean(&row[column].text));
            texts.fold(Column::default(), |column, text| Column {
                natural: column.natural.max(width_of(&text)),
                word: column.word.max(text.split(' ').map(width_of).max().unwrap_or(0)),
                piece: column
                    .piece
                    .max(text.split([' ', '-']).map(width_of).max().unwrap_or(0) + 1),
            })
        };
        fit(&(0..columns).map(column).collect::<Vec<_>>(), self.width)
    }

    /// Adds one row of columns, at most `height` lines high.
    fn row(&mut self, row: &[Cell], widths: &[usize], height: usize) {
        let wrapped =
            |(cell, width): (&Cell, &usize)| shorten(wrap(&cell.text, *width), height, *width);
        let cells: Vec<Vec<String>> = row.iter().zip(widths).map(wrapped).collect();
        let high = cells.iter().map(Vec::len).max().unwrap_or(0);
        self.lines.extend((0..high).map(|line| {
            let piece = |((lines, width), cell): ((&Vec<String>, &usize), &Cell)| {
                let text = lines.get(line).map_or("", String::as_str);
                let fill = " ".repeat((width + GAP).saturating_sub(width_of(text)));
                [Cell::painted(text, cell.paint), Cell::from(fill)]
            };
            cells.iter().zip(widths).zip(row).flat_map(piece).collect()
        }));
    }

    /// The lines as pieces, each a text and its colour.
    pub fn lines(&self) -> impl Iterator<Item = impl Iterator<Item = (&str, Option<Paint>)>> {
        self.lines.iter().map(|line| line.iter().map(|cell| (cell.text.as_str(), cell.paint)))
    }

    /// How many lines there are.
    pub fn height(&self) -> usize {
        self.lines.len()
    }

    /// The page as text, each line ended.
    pub fn render(&self, color: bool) -> String {
        let mut text = String::new();
        for line in &self.lines {
            let last = line.iter().rposition(|cell| !cell.text.trim().is_empty());
            for cell in line.iter().take(last.map_or(0, |last| last + 1)) {
                match cell.paint {
                    Some(paint) if !cell.text.is_empty() => {
                        text.push_str(&paint.apply(color, &cell.text));
                    }
                    _ => text.push_str(&cell.text),
                }
            }
            text.push('\n');
        }
        text
    }
}

/// The text on one line, without anything that moves a cursor or turns the direction of writing.
pub fn clean(text: &str) -> String {
    let visible = |c: char| match c {
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().map(visible).collect()
}

/// The columns that a text takes.
pub fn width_of(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// Cuts a text to `width` columns, with `…` for what is cut.
pub fn cut(text: &str, width: usize) -> String {
    shorten(vec![clean(text)], 1, width).pop().expect("one line stays one line")
}

/// Breaks a text into lines of at most `width` columns; at least one line.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in clean(text).split(' ') {
        let wide = width_of(word);
        if used > 0 && used + 1 + wide > width {
            lines.push(String::new());
            used = 0;
        }
        let line = lines.last_mut().expect("there is always a line");
        if used > 0 {
            line.push(' ');
            used += 1;
        }
        // A word that has no room breaks after a hyphen, and anywhere if it must.
        for piece in word.split_inclusive('-') {
            if wide > width && used > 0 && used + width_of(piece) > width {
                lines.push(String::new());
                used = 0;
            }
            for c in piece.chars() {
                let step = c.width().unwrap_or(0);
                if used + step > width && used > 0 {
                    lines.push(String::new());
                    used = 0;
                }
                lines.last_mut().expect("there is always a line").push(c);
                used += step;
            }
        }
    }
    lines
}

/// Keeps `height` lines; the last one says with `…` that there was more.
fn shorten(mut lines: Vec<String>, height: usize, width: usize) -> Vec<String> {
    let more = lines.len() > height;
    lines.truncate(height.max(1));
    let last = lines.last_mut().expect("wrapping gives at least one line");
    if more || width_of(last) > width {
        while width_of(last) + 1 > width && last.pop().is_some() {}
        last.push('…');
    }
    lines
}

/// How wide the texts of a column are.
#[derive(Clone, Copy, Debug, Default)]
struct Column {
    natural: usize,
    /// The longest word.
    word: usize,
    /// The longest part of a word that ends with a hyphen.
    piece: usize,
}

impl Column {
    /// A time, a count, a user's name: broken, it is harder to read than what stands beside it.
    const BRIEF: usize = 20;

    const fn is_brief(self) -> bool {
        self.natural <= Self::BRIEF
    }
}

/// Chooses widths that fit into `width` with the gaps between them.
///
/// The widest column gives way first: long ones down to their longest word, then to the longest
/// piece of their ids; then short ones too; and only when all are there, words are cut.
fn fit(columns: &[Column], width: usize) -> Vec<usize> {
    let room = width.saturating_sub(GAP * columns.len().saturating_sub(1));
    let mut widths: Vec<usize> = columns.iter().map(|column| column.natural.min(room)).collect();
    while widths.iter().sum::<usize>() > room {
        let spares: [&dyn Fn(Column, usize) -> bool; 4] = [
            &|column, width| !column.is_brief() && width > column.word,
            &|column, width| !column.is_brief() && width > column.piece,
            &|column, width| width > column.word,
            &|_, _| true,
        ];
        let widest = spares.iter().find_map(|spare| {
            let all = 0..widths.len();
            all.filter(|n| spare(columns[*n], widths[*n])).max_by_key(|n| widths[*n])
        });
        widths[widest.expect("a sum above zero has a part")] -= 1;
    }
    widths
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_widest_column_gives_way() {
        let mut page = Page::new(40);
        page.heading("Phases");
        let rows = [("1", "foundation", "confirmed"), ("2", "performance", "running")];
        let long = "a sentence that takes more than one line of the page";
        let row = |(n, id, word): (&str, &str, &str)| {
            vec![n.into(), id.into(), word.into(), Cell::from(""), long.into()]
        };
        page.table(&["#", "id", "status", "empty", "why"], &rows.map(row));
        assert_snapshot!(page.render(false), @"
        Phases
        #  id           status     why
        1  foundation   confirmed  a sentence
                                   that takes
                                   more than one
                                   line of the
                                   page
        2  performance  running    a sentence
                                   that takes
                                   more than one
                                   line of the
                                   page
        ");
    }

    #[test]
    fn ids_break_at_their_hyphens_before_a_time_breaks() {
        let mut page = Page::new(60);
        let row = ["2026-11-27 03:22Z", "6362e02c", "durable-inbox-for-everybody", "uid 0"];
        page.table(&["time", "run", "phase", "user"], &[row.map(Cell::from).to_vec()]);
        assert_snapshot!(page.render(false), @"
        time               run       phase                     user
        2026-11-27 03:22Z  6362e02c  durable-inbox-for-        uid 0
                                     everybody
        ");
    }

    #[test]
    fn what_a_service_says_cannot_move_the_cursor() {
        assert_eq!(clean("a\x1b[2Jb\r\nc\u{202e}d\te"), "a\u{fffd}[2Jb c\u{fffd}d e");
    }

    #[test]
    fn what_does_not_fit_ends_in_an_ellipsis() {
        assert_eq!(cut("performance", 11), "performance");
        assert_eq!(cut("performance", 7), "perfor…");
        let mut page = Page::new(40);
        page.fields(vec![Field::at_most(2, "issue", "word ".repeat(40))]);
        assert_snapshot!(page.render(false), @"
        issue  word word word word word word
               word word word word word word…
        ");
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_its_page(
            rows in proptest::collection::vec(("\\PC{0,90}", "\\PC{0,90}", "\\PC{0,90}"), 1..6),
            width in 40usize..120,
            height in 1usize..4,
        ) {
            let mut page = Page::new(width);
            page.paragraph(rows[0].0.clone());
            page.fields(vec![Field::at_most(height, "label", rows[0].1.clone())]);
            let row = |(a, b, c): &(String, String, String)| {
                [a, b, c].map(|text| Cell::from(text.as_str())).to_vec()
            };
            page.table(&["one", "two", "three"], &rows.iter().map(row).collect::<Vec<_>>());
            for line in page.render(false).lines() {
                prop_assert!(width_of(line) <= width, "{line:?}");
            }
        }
    }
}
