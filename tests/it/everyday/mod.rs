//! What an operator uses between migrations: the first files, the check of a machine, what differs,
//! milestones, help for a code, completions and copies of the ledger.

mod copies;
mod doctor;
mod drift;
mod explained;
mod milestones;
mod scaffold;
mod shell;
