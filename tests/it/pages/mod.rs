//! The report as other programs read it: a browser, a screen reader's checker, a pipeline.

mod browser;
mod junit;
