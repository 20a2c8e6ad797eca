//! `checks`, from outside.

mod catalogue;
mod command_line;
mod diagram;
mod engines;
mod explore;
mod fuzz;
mod shrink;
mod support;
