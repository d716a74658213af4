package app

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const goodOrder = `{"type":"order.placed","orderId":"0b9f7a64-3f7c-4e0f-9a52-5a0d1c5e8f11","customerId":"ada","placedAt":"2026-01-31T12:00:00Z","status":"paid","lines":[{"sku":"BOOK-1","quantity":2,"price":{"amount":1250,"currency":"EUR"}}],"total":{"amount":2500,"currency":"EUR"}}`

// order is goodOrder with one text replaced.
func order(old, new string) string {
	if !strings.Contains(goodOrder, old) {
		panic("nothing to replace: " + old)
	}
	return strings.Replace(goodOrder, old, new, 1)
}

// badEvents are what a server with the project's own schemas refuses.
func badEvents() [][2]string {
	deep := strings.Repeat(`{"a":`, 70) + "1" + strings.Repeat("}", 70)
	return [][2]string{
		{"empty body", ""},
		{"no JSON", "order"},
		{"cut", goodOrder[:100]},
		{"trailing data", goodOrder + "x"},
		{"null", "null"},
		{"a number", "17"},
		{"empty array", "[]"},
		{"array of numbers", "[1]"},
		{"nothing but the type", `{"type":"order.placed"}`},
		{"missing member", order(`"status":"paid",`, ``)},
		{"missing nested member", order(`"sku":"BOOK-1",`, ``)},
		{"missing key", order(`"customerId":"ada",`, ``)},
		{"string for a number", order(`"quantity":2`, `"quantity":"2"`)},
		{"number for a string", order(`"ada"`, `7`)},
		{"object for the array", strings.Replace(order(`"lines":[{`, `"lines":{`), `}}],`, `}},`, 1)},
		{"null for a string", order(`"paid"`, `null`)},
		{"boolean for an object", order(`{"amount":2500,"currency":"EUR"}`, `true`)},
		{"fraction for an integer", order(`"quantity":2`, `"quantity":2.5`)},
		{"unknown member", order(`"status"`, `"colour":"red","status"`)},
		{"misspelt member", order(`"status"`, `"statuss"`)},
		{"unknown nested member", order(`"sku"`, `"size":1,"sku"`)},
		{"value not in the enum", order(`"paid"`, `"lost"`)},
		{"enum in capitals", order(`"paid"`, `"PAID"`)},
		{"bad uuid", order(`0b9f7a64-`, `zzzzzzzz-`)},
		{"bad date-time", order(`2026-01-31T12:00:00Z`, `2026-02-31T12:00:00Z`)},
		{"date without time", order(`2026-01-31T12:00:00Z`, `2026-01-31`)},
		{"time without zone", order(`2026-01-31T12:00:00Z`, `2026-01-31T12:00:00`)},
		{"bad pattern", order(`BOOK-1`, `book 1`)},
		{"too short", order(`BOOK-1`, `B`)},
		{"below the minimum", order(`"quantity":2`, `"quantity":0`)},
		{"above the maximum", order(`"quantity":2`, `"quantity":1001`)},
		{"negative amount", order(`1250`, `-1250`)},
		{"huge number", order(`"quantity":2`, `"quantity":1e400`)},
		{"more digits than a number may have", order(`"quantity":2`, `"quantity":`+strings.Repeat("9", 2000))},
		{"no lines", order(`{"sku":"BOOK-1","quantity":2,"price":{"amount":1250,"currency":"EUR"}}`, ``)},
		{"101 lines", order(`{"sku":"BOOK-1","quantity":2,"price":{"amount":1250,"currency":"EUR"}}`, strings.Repeat(`{"sku":"BOOK-1","quantity":2,"price":{"amount":1250,"currency":"EUR"}},`, 100)+`{"sku":"BOOK-1","quantity":2,"price":{"amount":1250,"currency":"EUR"}}`)},
		{"discount of one", order(`"quantity":2`, `"quantity":2,"discount":1`)},
		{"discount with three digits", order(`"quantity":2`, `"quantity":2,"discount":0.125`)},
		{"coupon twice", order(`"status"`, `"coupons":["SPRING26","SPRING26"],"status"`)},
		{"six coupons", order(`"status"`, `"coupons":["AAA1","AAA2","AAA3","AAA4","AAA5","AAA6"],"status"`)},
		{"note too long", order(`"status"`, `"note":"`+strings.Repeat("n", 501)+`","status"`)},
		{"neither address nor pickup point", order(`"status"`, `"shipping":{},"status"`)},
		{"address and pickup point", order(`"status"`, `"shipping":{"pickupPoint":"station-4","street":"s","city":"c","country":"DE"},"status"`)},
		{"country in small letters", order(`"status"`, `"shipping":{"street":"s","city":"c","country":"de"},"status"`)},
		{"duplicate names", order(`"status":"paid"`, `"status":"paid","status":"invoiced"`)},
		{"duplicate names, nested", order(`"sku":"BOOK-1"`, `"sku":"BOOK-1","sku":"BOOK-2"`)},
		{"invalid UTF-8", order(`ada`, "\xff\xfe")},
		{"lone surrogate", order(`ada`, `\ud800`)},
		{"deep", order(`"status"`, `"note":`+deep+`,"status"`)},
		{"empty key", order(`"ada"`, `""`)},
		{"key that differs", order(`"orderId"`, `"userId":"bob","orderId"`)},
		{"second of a batch", "[" + goodOrder + "," + order(`"paid"`, `"lost"`) + "]"},
		{"second of a batch without type", `[` + goodOrder + `,{"userId":"u"}]`},
		{"type without a schema", `{"type":"order.payed","userId":"u"}`},
		{"type that is near", `{"type":"order.place","userId":"u"}`},
		{"no type", `{"userId":"u"}`},
	}
}

// Every bad event has its exact answer, in testdata/bad_events.golden. Run with
// -update to write it anew, and read what changed.
func TestBadEvents(t *testing.T) {
	t.Parallel()
	out := &output{}
	a := started(t, parsed(t, "http: {addr: '127.0.0.1:0'}\nbroker: {kind: memory}\nschemas: {dir: ../schemas, unknown: reject}\ndestinations: [{id: log, kind: log}]"), Options{Stdout: out})
	client := &http.Client{}
	t.Cleanup(client.CloseIdleConnections)
	post := func(body string) string {
		req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://"+a.Addr()+"/v1/events", strings.NewReader(body))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/json")
		resp, err := client.Do(req)
		require.NoError(t, err)
		defer func() { _ = resp.Body.Close() }()
		answer, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return fmt.Sprintf("%d %s", resp.StatusCode, strings.TrimSpace(string(answer)))
	}
	var got strings.Builder
	for _, e := range badEvents() {
		fmt.Fprintf(&got, "%s\n\t%s\n", e[0], post(e[1]))
	}
	const golden = "testdata/bad_events.golden"
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(golden, []byte(got.String()), 0o600))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	assert.Equal(t, string(want), got.String())
	assert.NotContains(t, got.String(), "\t202", "a bad event was accepted")
	assert.Contains(t, post(goodOrder), "202 ", "the good one is accepted")
}
