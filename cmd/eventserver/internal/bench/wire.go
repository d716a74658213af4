package bench

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// The benchmark shares the machine with what it measures, so its own HTTP is
// the least that the server needs: one request after the other on a connection,
// bodies with a length. With net/http on its side the receivers took a third of
// the CPU.

var errHTTP = errors.New("bench: not the HTTP that was expected")

// readHead reads a request or status line and its headers. It returns the
// line's second word (a path, or a status) and the body's length.
func readHead(br *bufio.Reader) (second string, length int, err error) {
	line, err := br.ReadSlice('\n')
	if err != nil {
		return "", 0, err
	}
	fields := bytes.Fields(line)
	if len(fields) < 2 {
		return "", 0, errHTTP
	}
	second = string(fields[1])
	for {
		line, err := br.ReadSlice('\n')
		if err != nil {
			return "", 0, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			return second, length, nil
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch {
		case len(name) == len("content-length") && bytes.EqualFold(name, []byte("content-length")):
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return "", 0, errHTTP
			}
		case bytes.EqualFold(name, []byte("transfer-encoding")):
			return "", 0, fmt.Errorf("%w: chunked body", errHTTP)
		}
	}
}

// readBody reads length bytes into buf, which it grows.
func readBody(br *bufio.Reader, buf []byte, length int) ([]byte, error) {
	if cap(buf) < length {
		buf = make([]byte, length)
	}
	buf = buf[:length]
	_, err := io.ReadFull(br, buf)
	return buf, err
}
