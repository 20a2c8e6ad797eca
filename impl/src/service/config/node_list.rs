//! `nodes.txt`: a list of nodes without anything else, a line for each.
//!
//! ```text
//! # id  address    peer port  client port
//! 1     10.0.0.1   7400       7500
//! 2     10.0.0.2   7400       7500
//! ```
//!
//! What the file does not say is as usual: the cluster is founded when all nodes are there, a node's
//! data are in `data/ID` beside the file, and its metrics are on any free port of the machine's own
//! interface, which the log names.

use models::NodeId;

use super::{Fault, NodeConfig, fault};

/// How a line is to be.
const REMEDY: &str = "write a line for each node: its id, its address, the port for the other nodes, \
                      and the port for clients, such as `1 10.0.0.1 7400 7500`";

/// Whether a text is such a list: its first line begins with a number, as no line of TOML does.
pub(super) fn is_one(text: &str) -> bool {
    let first = lines(text).next();
    let word = first.and_then(|(_, line)| line.split_whitespace().next());
    word.is_some_and(|word| word.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The nodes that are listed; nothing if the text is no such list.
///
/// # Errors
/// With the first line that says something else.
pub(super) fn parse(text: &str) -> Result<Option<Vec<NodeConfig>>, Fault> {
    if !is_one(text) {
        return Ok(None);
    }
    lines(text)
        .map(|(number, line)| node(number, line))
        .collect::<Result<_, _>>()
        .map(Some)
}

/// The lines that say something, with their numbers.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate();
    lines
        .map(|(index, line)| (index + 1, line.split('#').next().unwrap_or_default().trim()))
        .filter(|(_, line)| !line.is_empty())
}

fn node(number: usize, line: &str) -> Result<NodeConfig, Fault> {
    let wrong = |problem: String| fault(format!("line {number}"), problem, REMEDY);
    let words: Vec<&str> = line.split_whitespace().collect();
    let [id, host, peer, client] = words.as_slice() else {
        return Err(wrong(format!(
            "`{line}` has {} words, not four",
            words.len()
        )));
    };
    let id: u16 = id
        .parse()
        .map_err(|_| wrong(format!("`{id}` is no id from 0 to 65535")))?;
    let port = |text: &str| match text.parse::<u16>() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(wrong(format!("`{text}` is no port from 1 to 65535"))),
    };
    let host = match host.contains(':') && !host.starts_with('[') {
        true => format!("[{host}]"),
        false => (*host).to_owned(),
    };
    let at = |port| format!("{host}:{port}");
    let (peer, client) = (at(port(peer)?), at(port(client)?));
    let node = NodeConfig::new(NodeId(id), peer, client, format!("data/{id}"));
    Ok(node.with_metrics("127.0.0.1:0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_node() {
        let text = "# the cluster\n\n1 10.0.0.1 7400 7500\n 2\t::1 1 2 # here\n";
        let nodes = parse(text).expect("good").expect("a list");
        let addresses: Vec<_> = nodes
            .iter()
            .map(|node| {
                (
                    node.id.0,
                    node.peer_address.as_str(),
                    node.client_address.as_str(),
                )
            })
            .collect();
        let expected = [
            (1, "10.0.0.1:7400", "10.0.0.1:7500"),
            (2, "[::1]:1", "[::1]:2"),
        ];
        assert_eq!(addresses, expected);
    }

    #[test]
    fn toml_is_no_list_and_a_wrong_line_is_named() {
        for text in ["", "service = \"files\"\n", "[timing]\n", "# 1 a 2 3\n"] {
            assert_eq!(parse(text), Ok(None), "{text}");
        }
        for (text, said) in [
            ("1 a 1 2\n2 a 3\n", "line 2: `2 a 3` has 3 words"),
            ("1 a 0 2\n", "line 1: `0` is no port"),
            ("70000 a 1 2\n", "line 1: `70000` is no id"),
        ] {
            let error = parse(text).expect_err(text).to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
