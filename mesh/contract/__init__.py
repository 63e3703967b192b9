"""The contract compiler: Protobuf contracts and their policies in, everything that follows from them out."""
