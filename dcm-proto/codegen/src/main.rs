//! Generates what `dcm-proto` holds from its `.proto` files: the Rust of messages, clients and servers, and the descriptors that
//! reflection serves. Needs no `protoc`. Give it the folder of `dcm-proto`, and another one to write to where the first is to stay
//! as it is.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use prost::Message as _;

/// Messages that hold secrets: `dcm-proto` has `Debug` for them, which shows none.
const SECRET: [&str; 2] = [".dcm.v1.ClusterSpec", ".dcm.v1.GetKubeconfigResponse"];

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let from = arguments.next().context("the folder of dcm-proto is missing")?;
    let to = arguments.next().unwrap_or_else(|| from.join("src/generated"));
    fs::create_dir_all(&to)?;
    let protos = from.join("proto");
    let mut files = Vec::new();
    collect(&protos, &mut files)?;
    files.sort();

    let mut compiler = protox::Compiler::new([&protos])?;
    compiler.include_imports(true).include_source_info(true).open_files(&files)?;
    tonic_prost_build::configure()
        .build_transport(false)
        .btree_map(".")
        .codec_path("crate::codec::SmallBuffers")
        .skip_debug(SECRET)
        .out_dir(&to)
        .compile_fds(compiler.file_descriptor_set())?;
    // The one without a package has no better name.
    fs::rename(to.join("_.rs"), to.join("statusnotify.rs"))?;

    // Comments are four fifths of it, and nobody reads them there.
    let mut descriptors = compiler.file_descriptor_set();
    for file in &mut descriptors.file {
        file.source_code_info = None;
    }
    fs::write(to.join("descriptors.binpb"), descriptors.encode_to_vec())?;
    Ok(())
}

/// All `.proto` files below a folder.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            files.push(path);
        }
    }
    Ok(())
}
