package admin

import (
	"fmt"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"eventserver/router/poison"
)

// scheme is the name of the tokens in the document.
const scheme = "token"

// reading is an operation that changes nothing: GET path.
func reading(id, path, summary string) huma.Operation {
	return operation(http.MethodGet, id, path, summary, Read)
}

// changing is an operation that changes something: POST path. It gets an audit
// line, whatever becomes of it.
func changing(id, path, summary string) huma.Operation {
	return operation(http.MethodPost, id, path, summary, Write)
}

func operation(method, id, path, summary string, role Role) huma.Operation {
	op := huma.Operation{
		Method: method, OperationID: id, Path: path, Summary: summary,
		Description:  fmt.Sprintf("Needs a token with role %s where tokens are configured.", role),
		Security:     []map[string][]string{{scheme: {string(role)}}},
		Errors:       []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests},
		MaxBodyBytes: maxBody, BodyReadTimeout: -1, // it is read before: see receive
	}
	if method != http.MethodGet {
		op.Errors = append(op.Errors, http.StatusUnsupportedMediaType)
	}
	return op
}

// roleOf is the role that an operation needs.
func roleOf(op *huma.Operation) Role {
	for _, s := range op.Security {
		if len(s[scheme]) == 1 && s[scheme][0] == string(Read) {
			return Read
		}
	}
	return Write
}

// absent is the answer of an area that this server does not have.
func absent(area string) error {
	return huma.Error501NotImplemented("this server has no " + area + " to show")
}

// schemaName is the name of a type in the document: that of the Go type, after "Poison"
// for those of package poison.
func schemaName(t reflect.Type, hint string) string {
	name := huma.DefaultSchemaNamer(t, hint)
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.PkgPath() == reflect.TypeFor[poison.Item]().PkgPath() {
		name = "Poison" + name
	}
	return name
}

// problem is an error of the server itself, outside of any operation.
func problem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = huma.DefaultJSONFormat.Marshal(w, &huma.ErrorModel{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail}) // the client is gone when this fails
}

// plain makes huma's errors like ours. The values that huma echoes are what the
// client sent: they do not belong into an answer that may be kept in a log.
func plain(_ huma.Context, _ string, v any) (any, error) {
	e, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	p := *e
	p.Type, p.Errors = "about:blank", make([]*huma.ErrorDetail, len(e.Errors))
	for i, d := range e.Errors {
		p.Errors[i] = &huma.ErrorDetail{Message: d.Message, Location: d.Location}
	}
	return &p, nil
}
