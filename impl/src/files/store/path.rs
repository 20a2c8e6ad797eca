//! Names of files: UTF-8, in parts between slashes.
//!
//! There are no folders: `a/b` is one name, and `a` may be a file beside it. A listing by prefix
//! shows what a folder would.

/// No path is longer, in bytes.
pub const MAX_PATH_BYTES: usize = 1024;

/// What is wrong with a path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    /// It is empty.
    #[error("the path is empty: name a file, such as notes/today")]
    Empty,
    /// It is too long.
    #[error("the path has {0} bytes, and at most {MAX_PATH_BYTES} are allowed")]
    TooLong(usize),
    /// It is no UTF-8.
    #[error("the path is no UTF-8")]
    NotUtf8,
    /// It begins or ends with a slash, or has two together.
    #[error(
        "the path `{0}` has an empty part: it must not begin or end with a slash, or have two \
         together"
    )]
    EmptyPart(String),
    /// It has `.` or `..` for a part.
    #[error(
        "the path `{0}` has the part `{1}`, which would mean another path: name the file itself"
    )]
    Relative(String, String),
    /// It has a zero byte.
    #[error("the path has a zero byte in it, which no program could pass on")]
    ZeroByte,
}

/// Checks a path.
///
/// # Errors
/// When it is none.
pub fn check_path(path: &str) -> Result<(), BadPath> {
    if path.is_empty() {
        return Err(BadPath::Empty);
    }
    if path.len() > MAX_PATH_BYTES {
        return Err(BadPath::TooLong(path.len()));
    }
    if path.contains('\0') {
        return Err(BadPath::ZeroByte);
    }
    for part in path.split('/') {
        match part {
            "" => return Err(BadPath::EmptyPart(path.to_owned())),
            "." | ".." => return Err(BadPath::Relative(path.to_owned(), part.to_owned())),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_names_and_nothing_else() {
        for path in ["a", "a/b", "...", "a/.b/c..", "blå/æ ø", "a\nb", "-"] {
            assert_eq!(check_path(path), Ok(()), "{path}");
        }
        for path in ["/", "/a", "a/", "a//b"] {
            let empty = BadPath::EmptyPart(path.into());
            assert_eq!(check_path(path), Err(empty));
        }
        for (path, part) in [(".", "."), ("..", ".."), ("a/./b", "."), ("a/..", "..")] {
            let relative = BadPath::Relative(path.into(), part.into());
            assert_eq!(check_path(path), Err(relative));
        }
        assert_eq!(check_path(""), Err(BadPath::Empty));
        assert_eq!(check_path("a\0"), Err(BadPath::ZeroByte));
        assert_eq!(check_path(&"é".repeat(512)), Ok(()));
        assert_eq!(check_path(&"a".repeat(1025)), Err(BadPath::TooLong(1025)));
    }
}
