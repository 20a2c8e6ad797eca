//! The tokens of which a client must show one, and what each allows.
//!
//! A token is a secret: it is compared in constant time, and no log, error or page shows it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use subtle::ConstantTimeEq;

/// A token that is shorter could be guessed.
const SHORTEST: usize = 16;

/// What a client may do. Each includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Look.
    Read,
    /// Change what is stored.
    Write,
    /// Change the cluster.
    Admin,
}

/// Why the tokens are of no use. Nothing was started.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// The file cannot be read.
    #[error("{path}: cannot be read: {source}; nothing was started")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Others may read it.
    #[error(
        "{path}: everybody on this machine may read it; nothing was started. Let its owner alone \
         read it: chmod 600"
    )]
    Exposed {
        /// The file.
        path: PathBuf,
    },
    /// It is not understood. (What stands in the file is not quoted.)
    #[error(
        "{path}: {problem}; nothing was started. Write, for each token:\n[[token]]\nname = \"who \
         has it\"\nrole = \"read\", \"write\" or \"admin\"\ntoken = \"at least {SHORTEST} characters\""
    )]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

/// The tokens of a cluster; none where clients need not show any.
#[derive(Clone, Default)]
pub struct Tokens(Option<Arc<[Token]>>);

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Token {
    name: String,
    role: Role,
    token: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenFile {
    #[serde(default, rename = "token")]
    tokens: Vec<Token>,
}

/// Why a request is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    Unknown,
    TooLittle(Role),
}

impl Tokens {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, others may read it, or it makes no sense.
    pub fn load(path: Option<&Path>) -> Result<Self, TokensError> {
        let Some(path) = path else {
            return Ok(Self::default());
        };
        let unreadable = |source| TokensError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(path).map_err(unreadable)?);
        if mode & 0o004 != 0 {
            let path = path.to_owned();
            return Err(TokensError::Exposed { path });
        }
        let text = fs::read_to_string(path).map_err(unreadable)?;
        Self::parse(&text).map_err(|problem| TokensError::Malformed {
            path: path.to_owned(),
            problem,
        })
    }

    fn parse(text: &str) -> Result<Self, String> {
        let file: TokenFile = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        if file.tokens.is_empty() {
            return Err("there is no token in it, so nobody could do anything".to_owned());
        }
        for token in &file.tokens {
            if token.token.len() < SHORTEST || !token.token.bytes().all(|b| b.is_ascii_graphic()) {
                return Err(format!(
                    "the token of `{}` has fewer than {SHORTEST} characters, or others than \
                     visible ASCII",
                    token.name
                ));
            }
        }
        if !file.tokens.iter().any(|token| token.role == Role::Admin) {
            return Err(
                "none of them has the role admin, which the nodes need among themselves".to_owned(),
            );
        }
        Ok(Self(Some(file.tokens.into())))
    }

    /// The header that nodes show each other.
    pub(crate) fn for_nodes(&self) -> Option<HeaderValue> {
        let mut tokens = self.0.as_deref()?.iter();
        let admin = tokens.find(|token| token.role == Role::Admin)?;
        let mut value = HeaderValue::from_str(&format!("Bearer {}", admin.token)).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Whether who shows these headers may do what `needed` allows.
    fn check(&self, headers: &HeaderMap, needed: Role) -> Result<(), Refusal> {
        let Some(tokens) = &self.0 else {
            return Ok(());
        };
        let shown = headers.get(header::AUTHORIZATION);
        let shown = shown.and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        let shown = shown.unwrap_or_default();
        // All are compared, whichever it is: how long it takes tells nothing.
        let mut role = None;
        for token in tokens.iter() {
            if bool::from(token.token.as_bytes().ct_eq(shown)) {
                role = role.max(Some(token.role));
            }
        }
        match role {
            None => Err(Refusal::Unknown),
            Some(role) if role < needed => Err(Refusal::TooLittle(role)),
            Some(_) => Ok(()),
        }
    }
}

/// What a request takes, by its method and URL; none where anybody may ask.
pub(crate) type NeededRole = fn(&Method, &Uri) -> Option<Role>;

/// Lets through to `router` who shows a token that allows what `needed` says of the request.
pub(crate) fn protect<S: Clone + Send + Sync + 'static>(
    router: Router<S>,
    tokens: &Tokens,
    needed: NeededRole,
) -> Router<S> {
    let guard = Guard {
        tokens: tokens.clone(),
        needed,
    };
    router.layer(middleware::from_fn_with_state(guard, admit))
}

#[derive(Clone)]
struct Guard {
    tokens: Tokens,
    needed: NeededRole,
}

async fn admit(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let Some(needed) = (guard.needed)(request.method(), request.uri()) else {
        return next.run(request).await;
    };
    match guard.tokens.check(request.headers(), needed) {
        Ok(()) => next.run(request).await,
        Err(Refusal::Unknown) => {
            let challenge = [(header::WWW_AUTHENTICATE, "Bearer")];
            let words = "this cluster wants a token, as `Authorization: Bearer TOKEN`, and none it \
                         knows was shown; nothing was changed\n";
            (StatusCode::UNAUTHORIZED, challenge, words).into_response()
        }
        Err(Refusal::TooLittle(role)) => {
            let words = format!(
                "the token allows to {}, and this takes {}; nothing was changed\n",
                role.in_words(),
                needed.in_words()
            );
            (StatusCode::FORBIDDEN, words).into_response()
        }
    }
}

impl Role {
    fn in_words(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "read and write",
            Self::Admin => "change the cluster",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
        [[token]]
        name = "dashboard"
        role = "read"
        token = "0123456789abcdef"
        [[token]]
        name = "operator"
        role = "admin"
        token = "fedcba9876543210"
    "#;

    fn shown(token: &str) -> HeaderMap {
        let value = HeaderValue::from_str(&format!("Bearer {token}")).expect("a value");
        HeaderMap::from_iter([(header::AUTHORIZATION, value)])
    }

    #[test]
    fn a_token_allows_what_its_role_does() {
        let tokens = Tokens::parse(FILE).expect("tokens");
        let reader = shown("0123456789abcdef");
        assert_eq!(tokens.check(&reader, Role::Read), Ok(()));
        assert_eq!(
            tokens.check(&reader, Role::Write),
            Err(Refusal::TooLittle(Role::Read))
        );
        let admin = shown("fedcba9876543210");
        assert_eq!(tokens.check(&admin, Role::Admin), Ok(()));
        for stranger in [
            shown("0123456789abcdee"),
            shown("0123456789abcde"),
            HeaderMap::new(),
        ] {
            assert_eq!(tokens.check(&stranger, Role::Read), Err(Refusal::Unknown));
        }
        assert_eq!(
            Tokens::default().check(&HeaderMap::new(), Role::Admin),
            Ok(())
        );
    }

    #[test]
    fn a_file_that_makes_no_sense_is_refused_without_quoting_it() {
        let refused = |text: &str| match Tokens::parse(text) {
            Ok(_) => panic!("taken"),
            Err(words) => words,
        };
        assert!(refused("").contains("no token"));
        let short = refused("[[token]]\nname = \"a\"\nrole = \"admin\"\ntoken = \"secret\"");
        assert!(
            short.contains("`a`") && !short.contains("secret"),
            "{short}"
        );
        let none = FILE.replace("\"admin\"", "\"write\"");
        assert!(refused(&none).contains("role admin"));
        let misspelt = refused("[[token]]\nname = \"a\"\nrole = \"root\"\ntoken = \"secret\"");
        assert!(!misspelt.contains("secret"), "{misspelt}");
    }
}
