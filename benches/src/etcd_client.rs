//! A client of etcd's lease and lock services, in gRPC as etcd's own clients speak it: its gateway for
//! JSON would cost the servers more. One request at a time, on a connection of its own.

use bytes::{BufMut, Bytes, BytesMut};
use h2::RecvStream;
use h2::client::SendRequest;
use http::{HeaderMap, Request};
use prost::Message;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// Before each message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// A client.
#[derive(Debug)]
pub struct EtcdClient {
    requests: SendRequest<Bytes>,
    address: String,
    connection: JoinHandle<()>,
}

#[derive(Clone, PartialEq, Message)]
struct LeaseGrantRequest {
    #[prost(int64, tag = "1")]
    ttl: i64,
}

#[derive(Clone, PartialEq, Message)]
struct LeaseGrantResponse {
    #[prost(int64, tag = "2")]
    id: i64,
}

#[derive(Clone, PartialEq, Message)]
struct LeaseRevokeRequest {
    #[prost(int64, tag = "1")]
    id: i64,
}

#[derive(Clone, PartialEq, Message)]
struct LockRequest {
    #[prost(bytes = "bytes", tag = "1")]
    name: Bytes,
    #[prost(int64, tag = "2")]
    lease: i64,
}

#[derive(Clone, PartialEq, Message)]
struct LockResponse {
    #[prost(bytes = "bytes", tag = "2")]
    key: Bytes,
}

#[derive(Clone, PartialEq, Message)]
struct UnlockRequest {
    #[prost(bytes = "bytes", tag = "1")]
    key: Bytes,
}

/// An answer of which nothing is read.
#[derive(Clone, PartialEq, Message)]
struct Ignored {}

impl EtcdClient {
    /// Connects to the member with this address.
    ///
    /// # Panics
    /// If it does not answer.
    pub async fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).await;
        let stream = stream.unwrap_or_else(|error| panic!("{address}: {error}"));
        stream.set_nodelay(true).expect("an option of TCP");
        let shaken = h2::client::handshake(stream).await;
        let (requests, connection) = shaken.expect("the member speaks HTTP/2");
        let connection = tokio::spawn(async {
            // Who asks is told of what is wrong.
            let _ = connection.await;
        });
        Self {
            requests,
            address: address.to_owned(),
            connection,
        }
    }

    /// A lease of so many seconds.
    pub async fn grant(&mut self, ttl: i64) -> i64 {
        let request = LeaseGrantRequest { ttl };
        let granted: LeaseGrantResponse =
            self.call("etcdserverpb.Lease/LeaseGrant", &request).await;
        granted.id
    }

    /// Ends a lease, and releases what is locked under it.
    pub async fn revoke(&mut self, id: i64) {
        let request = LeaseRevokeRequest { id };
        let _: Ignored = self.call("etcdserverpb.Lease/LeaseRevoke", &request).await;
    }

    /// Waits for a lock. Returns the key that unlocks it.
    pub async fn lock(&mut self, name: &str, lease: i64) -> Bytes {
        let name = Bytes::copy_from_slice(name.as_bytes());
        let request = LockRequest { name, lease };
        let locked: LockResponse = self.call("v3lockpb.Lock/Lock", &request).await;
        assert!(!locked.key.is_empty(), "nothing is locked");
        locked.key
    }

    /// Releases a lock.
    pub async fn unlock(&mut self, key: Bytes) {
        let request = UnlockRequest { key };
        let _: Ignored = self.call("v3lockpb.Lock/Unlock", &request).await;
    }

    /// One call.
    ///
    /// # Panics
    /// If it does not succeed.
    async fn call<Q: Message, A: Message + Default>(&mut self, method: &str, request: &Q) -> A {
        let head = Request::post(format!("http://{}/{method}", self.address))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .expect("a request");
        let requests = self.requests.clone().ready().await;
        let mut requests = requests.expect("the connection stands");
        let sent = requests.send_request(head, false);
        let (response, mut body) = sent.expect("a request can be sent");
        body.send_data(framed(request), true)
            .expect("a request can be sent in full");
        let response = response.await.expect("the member answers");
        let (head, mut body) = response.into_parts();
        // A call that fails at once has its status where the answer begins.
        check(method, &head.headers);
        let answer = read(&mut body).await;
        let trailers = body.trailers().await.expect("the member answers in full");
        check(method, &trailers.unwrap_or_default());
        let message = answer.get(PREFIX..).expect("a call has an answer");
        A::decode(message).expect("an answer of etcd")
    }
}

impl Drop for EtcdClient {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

fn framed(message: &impl Message) -> Bytes {
    let mut framed = BytesMut::with_capacity(PREFIX + message.encoded_len());
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.encoded_len()).expect("requests are short"));
    message.encode(&mut framed).expect("there is room");
    framed.freeze()
}

async fn read(body: &mut RecvStream) -> BytesMut {
    let mut whole = BytesMut::new();
    while let Some(part) = body.data().await {
        let part = part.expect("the member answers in full");
        whole.extend_from_slice(&part);
        let taken = body.flow_control().release_capacity(part.len());
        taken.expect("so much was received");
    }
    whole
}

fn check(method: &str, fields: &HeaderMap) {
    let status = fields.get("grpc-status");
    assert!(
        status.is_none_or(|status| status == "0"),
        "{method} fails: {status:?} {:?}",
        fields.get("grpc-message")
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_stands_behind_its_length() {
        let request = LockRequest {
            name: Bytes::from_static(b"ab"),
            lease: 3,
        };
        let expected = [0, 0, 0, 0, 6, 0x0A, 2, b'a', b'b', 0x10, 3];
        assert_eq!(framed(&request), expected[..]);
    }
}
