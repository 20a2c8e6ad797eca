//! `/members`: who lives and who leads, as this member knows it, and whether it is ready.

use models::NodeId;
use serde::Serialize;

use super::report::Report;
use crate::heartbeat::members_page::MembersPage;

#[derive(Clone, Debug, Serialize)]
pub(super) struct ListPage {
    /// The name of the cluster.
    cluster: String,
    /// The member that says so.
    asked: NodeId,
    /// Why no work should be sent to this member, if none should.
    hindrance: Option<String>,
    /// Whom it knows.
    #[serde(flatten)]
    list: MembersPage,
}

impl ListPage {
    pub(super) fn of(report: &Report) -> Self {
        Self {
            cluster: report.cluster.clone(),
            asked: report.id,
            hindrance: report.hindrance.clone(),
            list: MembersPage::from(&report.list),
        }
    }
}
