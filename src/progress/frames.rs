//! The terminal of the bars: whole pictures, handed on one at a time.

use std::io;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use indicatif::TermLike;

use crate::ui::{Sink, Worth, terminal_width};

/// What pictures are worth, shared with whoever draws.
#[derive(Clone, Debug)]
pub(super) struct Worthy(Arc<Mutex<Worth>>);

impl Default for Worthy {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Worth::Record)))
    }
}

impl Worthy {
    /// Pictures are worth this until what is returned is dropped.
    pub(super) fn for_now(&self, worth: Worth) -> impl Drop + use<> {
        *lock(&self.0) = worth;
        ForNow(self.clone())
    }
}

struct ForNow(Worthy);

impl Drop for ForNow {
    fn drop(&mut self) {
        *lock(&self.0.0) = Worth::Record;
    }
}

/// Collects what is drawn until it is a whole picture.
///
/// A picture begins where the one before it began, so one that is left out is made up for by the
/// next; half of one is not.
#[derive(Debug)]
pub(super) struct Frames<S> {
    drawn: Mutex<(S, String)>,
    worth: Worthy,
}

impl<S: Sink> Frames<S> {
    pub(super) fn new(out: S, worth: Worthy) -> Self {
        Self { drawn: Mutex::new((out, String::new())), worth }
    }

    fn draw(&self, text: &str) {
        lock(&self.drawn).1.push_str(text);
    }

    /// Moves the cursor, where it moves at all.
    fn step(&self, n: usize, direction: char) {
        if n > 0 {
            self.draw(&format!("\x1b[{n}{direction}"));
        }
    }
}

impl<S: Sink> TermLike for Frames<S> {
    fn width(&self) -> u16 {
        u16::try_from(terminal_width()).unwrap_or(u16::MAX)
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.step(n, 'A');
        Ok(())
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.step(n, 'B');
        Ok(())
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.step(n, 'C');
        Ok(())
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.step(n, 'D');
        Ok(())
    }

    fn write_line(&self, s: &str) -> io::Result<()> {
        self.draw(s);
        self.draw("\n");
        Ok(())
    }

    fn write_str(&self, s: &str) -> io::Result<()> {
        self.draw(s);
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        self.draw("\r\x1b[2K");
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        let (out, drawn) = &mut *lock(&self.drawn);
        let picture = mem::take(drawn);
        if !picture.is_empty() {
            out.put(*lock(&self.worth.0), &picture);
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
