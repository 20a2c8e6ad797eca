//! The releaser thread: lets out what the gate gives free.

use std::sync::Arc;

use models::{NodeId, Protocol};

use super::builder::EventSink;
use super::inbox::Control;
use super::node_core::Outgoing;
use super::node_handle::Shared;
use crate::runtime::metrics::Metrics;
use crate::runtime::transport::Transport;

pub(super) struct Releaser<P: Protocol, T> {
    pub(super) id: NodeId,
    pub(super) transport: T,
    pub(super) sink: EventSink<P>,
    pub(super) shared: Arc<Shared<P>>,
    pub(super) metrics: Arc<Metrics>,
}

impl<P: Protocol, T: Transport<P::Message>> Releaser<P, T> {
    /// Runs until the gate is shut.
    pub(super) fn run(mut self) {
        while let Ok(released) = self.shared.gate.release() {
            if released.made_room {
                self.shared.inbox.control(Control::Room);
            }
            for outgoing in released.items.into_iter().flatten() {
                self.let_out(outgoing);
            }
        }
    }

    fn let_out(&mut self, outgoing: Outgoing<P>) {
        match outgoing {
            Outgoing::Send { to, message } if to == self.id => {
                self.shared.inbox.control(Control::Loopback(message));
            }
            Outgoing::Send { to, message } => self.transport.send(to, message),
            Outgoing::Emit(event) => {
                self.metrics.events.inc();
                (self.sink)(event);
            }
            Outgoing::Answer(answer) => answer(),
        }
    }
}
