//! The least that a copy must do: bytes from a socket into files, forced at the end.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::certificates::Certificates;
use crate::source::clear;

const BUFFER: usize = 1 << 20;

/// Copies the files of `store` to `target` over one connection. Returns the time and the cipher.
pub fn copy(store: &Path, target: &Path, tls: Option<&Certificates>) -> (Duration, String) {
    clear(target);
    let files = files(store);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("a port");
    thread::scope(|scope| {
        scope.spawn(|| {
            let (socket, _) = listener.accept().expect("the client");
            match tls {
                None => send(socket, &files),
                Some(certificates) => send(certificates.server_stream(socket), &files),
            }
        });
        let start = Instant::now();
        let socket = TcpStream::connect(address).expect("the server");
        fs::create_dir_all(target).expect("a directory");
        let cipher = match tls {
            None => {
                receive(socket, &files, target);
                "plain".to_owned()
            }
            Some(certificates) => {
                let mut stream = certificates.client_stream(socket);
                receive(&mut stream, &files, target);
                format!("{:?}", stream.conn.negotiated_cipher_suite().expect("a cipher").suite())
            }
        };
        (start.elapsed(), cipher)
    })
}

fn files(store: &Path) -> Vec<(PathBuf, u64)> {
    fs::read_dir(store)
        .expect("the store")
        .map(|entry| entry.expect("the store"))
        .filter(|entry| entry.file_type().expect("the store").is_file())
        .map(|entry| (entry.path(), entry.metadata().expect("the store").len()))
        .collect()
}

fn send(mut stream: impl Write, files: &[(PathBuf, u64)]) {
    let mut buffer = vec![0; BUFFER];
    for (path, _) in files {
        let mut file = File::open(path).expect("a file of the store");
        loop {
            let count = file.read(&mut buffer).expect("a file of the store");
            if count == 0 {
                break;
            }
            stream.write_all(&buffer[..count]).expect("the client");
        }
    }
    stream.flush().expect("the client");
}

fn receive(mut stream: impl Read, files: &[(PathBuf, u64)], target: &Path) {
    let mut buffer = vec![0; BUFFER];
    for (path, length) in files {
        let mut file = File::create(target.join(path.file_name().expect("a name"))).expect("space");
        let mut left = usize::try_from(*length).expect("a length in memory");
        while left > 0 {
            let wanted = left.min(BUFFER);
            let count = stream.read(&mut buffer[..wanted]).expect("the server");
            assert!(count > 0, "the server closed early");
            file.write_all(&buffer[..count]).expect("space");
            left -= count;
        }
        file.sync_all().expect("space");
    }
    File::open(target).and_then(|directory| directory.sync_all()).expect("the directory");
}
