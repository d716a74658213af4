package envelope

import "fmt"

// ParsePublish reads the body of the old API, {"userId":"..","payload":".."}.
// Both are required strings; the payload may hold any text, also none. Other
// fields are ignored, as the old server did. The error is a *Fault.
func ParsePublish(body []byte, lim Limits) (userID string, payload string, err error) {
	p := acquire(body, Count(body), lim)
	defer p.release()
	userID, payload, f := p.publish()
	if f != nil {
		return "", "", f
	}
	return userID, payload, nil
}

func (p *parser) publish() (userID, payload string, f *Fault) {
	kind, f := p.open()
	if f != nil {
		return "", "", f
	}
	if kind != '{' {
		return "", "", p.fault("", fmt.Sprintf(`must be a JSON object with "userId" and "payload", not %s`, KindName(kind)))
	}
	if n := len(p.body); n > p.lim.MaxEventBytes { // blanks around it are kept with it
		return "", "", Measure{EventBytes: n}.tooLarge(p.lim.MaxEventBytes)
	}
	if _, err := p.dec.ReadToken(); err != nil {
		return "", "", p.syntax(err)
	}
	var raw []byte
	for p.dec.PeekKind() == '"' {
		name, err := p.dec.ReadValue()
		if err != nil {
			return "", "", p.syntax(err)
		}
		switch fieldOf(name) {
		case fieldUser:
			userID, f = p.text("userId", maxText, noControl, notEmpty)
		case fieldPayload:
			raw, f = p.rawString("payload")
		default:
			if _, err := p.dec.ReadValue(); err != nil {
				return "", "", p.syntax(err)
			}
		}
		if f != nil {
			return "", "", f
		}
	}
	if _, err := p.dec.ReadToken(); err != nil {
		return "", "", p.syntax(err)
	}
	if f := p.end(); f != nil {
		return "", "", f
	}
	switch {
	case userID == "":
		return "", "", p.fault("userId", "is missing; give the user the event belongs to")
	case raw == nil:
		return "", "", p.fault("payload", "is missing; give it as a string")
	}
	return userID, unquote(raw), nil
}
