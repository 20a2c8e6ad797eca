//! The node, and what it shows over HTTP.

pub(crate) mod api;
pub(crate) mod debug_vars;
pub(crate) mod draining;
pub(crate) mod events;
pub(crate) mod http_error;
pub(crate) mod lease;
pub(crate) mod lock_pages;
pub(crate) mod membership_api;
pub(crate) mod metrics_page;
pub mod node;
pub(crate) mod node_adder;
pub(crate) mod service;
pub(crate) mod session_api;
pub(crate) mod status_page;
pub(crate) mod traffic;

pub use self::lock_pages::{LockReport, LocksPage};
pub use self::membership_api::{AddBody, MembershipPage};
pub use self::session_api::{
    AcquireBody, GrantPage, OpenBody, ReleaseBody, ReleasePage, RenewBody, SessionPage, Was,
};
