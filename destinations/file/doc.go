// Package file appends deliveries to a file, one JSON value a line (NDJSON).
//
// # Durability
//
// Deliver returns nil after fsync. Deliveries that wait at the same time share
// one. A write that fails is taken back to the end of the last good line, and
// a line that a crash left without its end gets one when the file is opened,
// so every line after it is whole; a reader skips a line that is not JSON.
//
// A line may be there twice: after a crash or a lost answer the delivery comes
// again. Its id (with envelope: true) is the same each time. Lines of one key
// keep their order.
//
// # Lines
//
// A body that is JSON is compacted and otherwise untouched; other text is a
// JSON string; bytes that are not UTF-8 are {"data_base64":"..."}; no bytes at
// all are null. With
// envelope: true a line is an object:
//
//	{"id":"e1:archive","event_id":"e1","type":"order.placed","key":"user-1","attempt":1,
//	 "sequence":42,"time":"...","received_at":"...","data":{...}}
//
// with data_base64 in the place of data for bytes that are not UTF-8, and
// without sequence or times that are not known.
//
// # Rotation
//
// When the next line would make the file longer than max_bytes, or its oldest
// line is max_age old as the next one comes, "events.jsonl" is renamed to
// "events.20260102T030405Z-000001.jsonl" and begun anew. Names sort by age. The
// file is locked against a second writer.
//
// Whatever stands in the directory under the name of an older file stops no
// rotation: names that are taken are passed over, and so are names more than a day
// ahead of the clock, which are neither counted nor removed.
//
// # Who may read it
//
// Files that are made have the mode 0600 and directories 0700, whatever the umask;
// what is there keeps its mode. A symbolic link at the path is refused, and so is
// what is no regular file. Links of directories are followed: the operator names
// them, and their owner decides anyway what is in them.
//
// # Others
//
// Others may rename or delete the file, or its directory, while the server
// runs, as logrotate does: before each write, and before it is acknowledged,
// the path is compared with the open file, and both are made again. What was
// written meanwhile is then in both files. logrotate's copytruncate loses what
// is written between its copy and its truncation; do without it.
//
// It may import destinations and the standard library. Formats that need a
// schema, and stores that are not a file system, belong in packages of their own.
package file
