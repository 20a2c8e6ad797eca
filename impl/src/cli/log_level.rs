//! `lockstep log-level`: what a running node logs.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;

use super::target::TargetArgs;

/// One node has this long to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Shows or changes what nodes log, while they run
///
/// Asks every node that --node or --config names. It is as it was when a node is started again.
#[derive(Debug, Args)]
pub(super) struct LogLevelArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// error, warn, info, debug, trace or off, or a list such as warn,lockstep::runtime=debug; what is
    /// logged now is shown, if nothing is said
    level: Option<String>,
}

/// Asks each node.
pub(super) async fn run(args: LogLevelArgs) -> anyhow::Result<ExitCode> {
    let nodes = args.target.nodes()?;
    if nodes.is_empty() {
        bail!("no node to ask: name one with --node, or a cluster file with --config");
    }
    let access = args.target.access()?;
    let http = access
        .client(PATIENCE)?
        .timeout(args.target.timeout())
        .build()?;
    let mut failed = false;
    for node in nodes {
        let url = access.url(&node, "/log-level");
        let request = match &args.level {
            Some(level) => http.put(url).body(level.clone()),
            None => http.get(url),
        };
        let said = async {
            let answer = request.send().await?;
            let well = answer.status().is_success();
            anyhow::Ok((well, answer.text().await?))
        };
        match said.await.with_context(|| node.clone()) {
            Ok((true, text)) => println!("{node}: {}", text.trim_end()),
            Ok((false, text)) => {
                failed = true;
                eprintln!("error: {node}: {}", text.trim_end());
            }
            Err(error) => {
                failed = true;
                eprintln!("error: {error:#}");
            }
        }
    }
    Ok(ExitCode::from(if failed { super::ERROR } else { 0 }))
}
