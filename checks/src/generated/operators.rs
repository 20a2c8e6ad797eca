//! Which operators a generated mutant puts in the place of another: those that `cargo mutants`
//! does.

use syn::BinOp;

/// A binary operator, and what may stand in its place.
pub(super) struct Operator {
    /// As it is written.
    pub(super) text: &'static str,
    /// What kind it is of: how it can be switched.
    pub(super) kind: Kind,
    /// What may stand there instead.
    pub(super) others: &'static [&'static str],
}

/// What an operator does with its operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Compares them, and leaves them as they are.
    Compares,
    /// Computes a value of them, perhaps of the first alone.
    Computes,
    /// Changes the first.
    Assigns,
}

impl Operator {
    /// What is known of an operator; nothing of one that has no counterpart.
    pub(super) fn of(operator: &BinOp) -> Option<Self> {
        let (text, others): (&'static str, &'static [&'static str]) = match operator {
            BinOp::Eq(_) => ("==", &["!="]),
            BinOp::Ne(_) => ("!=", &["=="]),
            BinOp::Lt(_) => ("<", &["==", ">", "<="]),
            BinOp::Gt(_) => (">", &["==", "<", ">="]),
            BinOp::Le(_) => ("<=", &[">"]),
            BinOp::Ge(_) => (">=", &["<"]),
            BinOp::And(_) => ("&&", &["||"]),
            BinOp::Or(_) => ("||", &["&&"]),
            BinOp::Add(_) => ("+", &["-", "*"]),
            BinOp::Sub(_) => ("-", &["+", "/"]),
            BinOp::Mul(_) => ("*", &["+", "/"]),
            BinOp::Div(_) => ("/", &["%", "*"]),
            BinOp::Rem(_) => ("%", &["/", "+"]),
            BinOp::BitAnd(_) => ("&", &["|", "^"]),
            BinOp::BitOr(_) => ("|", &["&", "^"]),
            BinOp::BitXor(_) => ("^", &["|", "&"]),
            BinOp::Shl(_) => ("<<", &[">>"]),
            BinOp::Shr(_) => (">>", &["<<"]),
            BinOp::AddAssign(_) => ("+=", &["-=", "*="]),
            BinOp::SubAssign(_) => ("-=", &["+=", "/="]),
            BinOp::MulAssign(_) => ("*=", &["+=", "/="]),
            BinOp::DivAssign(_) => ("/=", &["%=", "*="]),
            BinOp::RemAssign(_) => ("%=", &["/=", "+="]),
            BinOp::BitAndAssign(_) => ("&=", &["|=", "^="]),
            BinOp::BitOrAssign(_) => ("|=", &["&=", "^="]),
            BinOp::BitXorAssign(_) => ("^=", &["|=", "&="]),
            BinOp::ShlAssign(_) => ("<<=", &[">>="]),
            BinOp::ShrAssign(_) => (">>=", &["<<="]),
            _ => return None,
        };
        let kind = match text {
            "==" | "!=" | "<" | ">" | "<=" | ">=" => Kind::Compares,
            _ if text.ends_with('=') => Kind::Assigns,
            _ => Kind::Computes,
        };
        Some(Self { text, kind, others })
    }
}
