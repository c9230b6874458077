//! The engine: a fold and a question.
