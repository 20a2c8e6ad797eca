//! A client of ZooKeeper that can do what is measured and no more, so that it takes as little as can
//! be of the processor that the servers need. One request at a time.

use bytes::{Buf, BufMut, Bytes};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

const CREATE: i32 = 1;
const SET_DATA: i32 = 5;
const CLOSE: i32 = -11;
const ANY_VERSION: i32 = -1;
const SESSION_TIMEOUT_MS: i32 = 40_000;
const ALL_PERMISSIONS: i32 = 31;
const PERSISTENT: i32 = 0;
/// In a `Stat`, before the version: czxid, mzxid, ctime and mtime.
const BEFORE_VERSION: usize = 32;

/// A client with a session.
#[derive(Debug)]
pub struct ZookeeperClient {
    stream: BufReader<TcpStream>,
    /// The number of the last request.
    xid: i32,
}

impl ZookeeperClient {
    /// Opens a session at the server with this address.
    ///
    /// # Panics
    /// If there is none to be had.
    pub async fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).await;
        let stream = stream.unwrap_or_else(|error| panic!("{address}: {error}"));
        stream.set_nodelay(true).expect("an option of TCP");
        let mut client = Self {
            stream: BufReader::new(stream),
            xid: 0,
        };
        client.send(&connect_request()).await;
        let mut answer = client.receive().await;
        let (_version, timeout) = (answer.get_i32(), answer.get_i32());
        assert!(timeout > 0, "{address} gives no session");
        client
    }

    /// Makes a node.
    ///
    /// # Panics
    /// If it is not made.
    pub async fn create(&mut self, path: &str, data: &[u8]) {
        let mut body = self.ask(CREATE, &create_request(path, data)).await;
        assert_eq!(buffer(&mut body), path.as_bytes(), "another node is made");
    }

    /// Gives a node other data, whatever its version. Returns the version that it has now.
    ///
    /// # Panics
    /// If it has not been done.
    pub async fn set_data(&mut self, path: &str, data: &[u8]) -> i32 {
        let mut stat = self.ask(SET_DATA, &set_data_request(path, data)).await;
        stat.advance(BEFORE_VERSION);
        stat.get_i32()
    }

    /// Ends the session: one that is only left would be ended later, while something else is measured.
    pub async fn close(mut self) {
        self.ask(CLOSE, &[]).await;
    }

    async fn ask(&mut self, operation: i32, request: &[u8]) -> Bytes {
        self.xid += 1;
        let mut packet = Vec::with_capacity(8 + request.len());
        packet.put_i32(self.xid);
        packet.put_i32(operation);
        packet.put_slice(request);
        self.send(&packet).await;
        let mut answer = self.receive().await;
        let (xid, _zxid, error) = (answer.get_i32(), answer.get_i64(), answer.get_i32());
        assert_eq!((xid, error), (self.xid, 0), "operation {operation} fails");
        answer
    }

    async fn send(&mut self, packet: &[u8]) {
        let mut framed = Vec::with_capacity(4 + packet.len());
        put_buffer(&mut framed, packet);
        let sent = self.stream.get_mut().write_all(&framed).await;
        sent.expect("the server takes the request");
    }

    async fn receive(&mut self) -> Bytes {
        let length = self.stream.read_u32().await.expect("the server answers");
        let mut packet = vec![0; length as usize];
        let read = self.stream.read_exact(&mut packet).await;
        read.expect("the server answers in full");
        packet.into()
    }
}

fn connect_request() -> Vec<u8> {
    let mut request = Vec::new();
    request.put_i32(0); // the protocol's version
    request.put_i64(0); // the last zxid that was seen
    request.put_i32(SESSION_TIMEOUT_MS);
    request.put_i64(0); // no session yet,
    put_buffer(&mut request, &[0; 16]); // and no password
    request.put_u8(0); // not read-only
    request
}

fn create_request(path: &str, data: &[u8]) -> Vec<u8> {
    let mut request = Vec::new();
    put_buffer(&mut request, path.as_bytes());
    put_buffer(&mut request, data);
    request.put_i32(1); // one entry in the access control list
    request.put_i32(ALL_PERMISSIONS);
    put_buffer(&mut request, b"world");
    put_buffer(&mut request, b"anyone");
    request.put_i32(PERSISTENT);
    request
}

fn set_data_request(path: &str, data: &[u8]) -> Vec<u8> {
    let mut request = Vec::new();
    put_buffer(&mut request, path.as_bytes());
    put_buffer(&mut request, data);
    request.put_i32(ANY_VERSION);
    request
}

/// Bytes behind their number.
fn put_buffer(to: &mut Vec<u8>, bytes: &[u8]) {
    to.put_u32(u32::try_from(bytes.len()).expect("requests are short"));
    to.put_slice(bytes);
}

fn buffer(from: &mut Bytes) -> Bytes {
    let length = from.get_u32() as usize;
    from.split_to(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_as_the_servers_want_them() {
        assert_eq!(connect_request().len(), 45);
        let set = set_data_request("/a", &[7]);
        let expected = [0, 0, 0, 2, b'/', b'a', 0, 0, 0, 1, 7, 255, 255, 255, 255];
        assert_eq!(set, expected);
        let create = create_request("/a", &[7]);
        let acl = b"\0\0\0\x01\0\0\0\x1f\0\0\0\x05world\0\0\0\x06anyone\0\0\0\0";
        assert_eq!(create[..11], expected[..11]);
        assert_eq!(create[11..], acl[..]);
    }
}
