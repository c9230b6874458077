//! A part of the terminal that is drawn again in place.
//!
//! It stands in the terminal's own flow, not on a screen of its own, so what stood above it stays,
//! and what is printed when it is closed stays too. Only cells that changed are written, so nothing
//! flickers. Keys are read one by one meanwhile; whatever ends the process, the terminal gets its
//! own ways back.

use std::io::{self, Stdout};
use std::time::Duration;

use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::crossterm::terminal::{disable_raw_mode, enable_raw_mode};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span, Text};
use ratatui::{Terminal, TerminalOptions, Viewport};

use super::Paint;
use crate::secret::redacted;

/// The part of the terminal, and the terminal in raw mode.
#[derive(Debug)]
pub struct Window {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    color: bool,
}

/// What somebody pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// `q` or Escape.
    Leave,
    /// Ctrl-C, which is no signal here.
    Interrupt,
}

impl Window {
    /// Makes room for `rows` rows below the cursor, or for as many as the terminal has.
    ///
    /// # Errors
    /// When stdout is no terminal that says where its cursor is.
    pub fn open(rows: u16, color: bool) -> io::Result<Self> {
        enable_raw_mode()?;
        let options = TerminalOptions { viewport: Viewport::Inline(rows) };
        match Terminal::with_options(CrosstermBackend::new(io::stdout()), options) {
            Ok(terminal) => Ok(Self { terminal, color }),
            Err(error) => {
                let _ = disable_raw_mode();
                Err(error)
            }
        }
    }

    /// Shows these lines, each a row of pieces; what does not fit is cut.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn draw<'a, L>(&mut self, lines: impl Iterator<Item = L>) -> io::Result<()>
    where
        L: Iterator<Item = (&'a str, Option<Paint>)>,
    {
        let color = self.color;
        let span = |(text, paint): (&str, Option<Paint>)| {
            let style = paint.filter(|_| color).map_or(Style::new(), Paint::style);
            Span::styled(redacted(text).into_owned(), style)
        };
        let text: Text = lines.map(|line| line.map(span).collect::<Line<'_>>()).collect();
        self.terminal.draw(|frame| frame.render_widget(text, frame.area())).map(drop)
    }

    /// The next thing that somebody pressed and that means anything; does not wait.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn key() -> io::Result<Option<Key>> {
        while event::poll(Duration::ZERO)? {
            let Event::Key(key) = event::read()? else { continue };
            match key.code {
                _ if key.kind == KeyEventKind::Release => {}
                KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => {
                    return Ok(Some(Key::Interrupt));
                }
                KeyCode::Char('q') | KeyCode::Esc => return Ok(Some(Key::Leave)),
                _ => {}
            }
        }
        Ok(None)
    }

    /// Takes the window away; what is printed next stands where it stood.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn close(mut self) -> io::Result<()> {
        let top = self.terminal.get_frame().area().as_position();
        self.terminal.clear()?;
        self.terminal.set_cursor_position(top)
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        let _ = self.terminal.show_cursor();
        let _ = disable_raw_mode();
    }
}

impl Paint {
    fn style(self) -> Style {
        match self {
            Self::Good => Style::new().fg(Color::Green),
            Self::Bad => Style::new().fg(Color::Red).add_modifier(Modifier::BOLD),
            Self::Warn => Style::new().fg(Color::Yellow),
            Self::Strong => Style::new().add_modifier(Modifier::BOLD),
            Self::Faint => Style::new().add_modifier(Modifier::DIM),
        }
    }
}
