package quick

// asserted: the suite asks that formats are annotations unless one opts in. An
// event with a bad date is refused here, so all of these fail on purpose.
const asserted = "formats are asserted"

// requiredDeviations are the required cases that fail, with the reason.
var requiredDeviations = map[string]string{
	`format: email format: invalid email string is only an annotation by default`:                                 asserted,
	`format: regex format: invalid regex string is only an annotation by default`:                                 asserted,
	`format: ipv4 format: invalid ipv4 string is only an annotation by default`:                                   asserted,
	`format: ipv6 format: invalid ipv6 string is only an annotation by default`:                                   asserted,
	`format: hostname format: invalid hostname string is only an annotation by default`:                           asserted,
	`format: date format: invalid date string is only an annotation by default`:                                   asserted,
	`format: date-time format: invalid date-time string is only an annotation by default`:                         asserted,
	`format: time format: invalid time string is only an annotation by default`:                                   asserted,
	`format: json-pointer format: invalid json-pointer string is only an annotation by default`:                   asserted,
	`format: relative-json-pointer format: invalid relative-json-pointer string is only an annotation by default`: asserted,
	`format: iri format: invalid iri string is only an annotation by default`:                                     asserted,
	`format: iri-reference format: invalid iri-reference string is only an annotation by default`:                 asserted,
	`format: uri format: invalid uri string is only an annotation by default`:                                     asserted,
	`format: uri-reference format: invalid uri-reference string is only an annotation by default`:                 asserted,
	`format: uri-template format: invalid uri-template string is only an annotation by default`:                   asserted,
	`format: uuid format: invalid uuid string is only an annotation by default`:                                   asserted,
	`format: duration format: invalid duration string is only an annotation by default`:                           asserted,
}

// punycode: a label that begins with xn-- is checked as ASCII. Decoding it needs
// the tables of IDNA, and the receiver looks the name up in any case.
const punycode = "labels that begin with xn-- are not decoded"

// formatDeviations are the optional cases of the asserted formats that fail.
var formatDeviations = map[string]string{
	`hostname: validation of A-label (punycode) host names: invalid Punycode`:                                            punycode,
	`hostname: validation of A-label (punycode) host names: contains illegal char U+302E Hangul single dot tone mark`:    punycode,
	`hostname: validation of A-label (punycode) host names: Begins with a Spacing Combining Mark`:                        punycode,
	`hostname: validation of A-label (punycode) host names: Begins with a Nonspacing Mark`:                               punycode,
	`hostname: validation of A-label (punycode) host names: Begins with an Enclosing Mark`:                               punycode,
	`hostname: validation of A-label (punycode) host names: Exceptions that are DISALLOWED, right-to-left chars`:         punycode,
	`hostname: validation of A-label (punycode) host names: Exceptions that are DISALLOWED, left-to-right chars`:         punycode,
	`hostname: validation of A-label (punycode) host names: MIDDLE DOT with no preceding 'l'`:                            punycode,
	`hostname: validation of A-label (punycode) host names: MIDDLE DOT with nothing preceding`:                           punycode,
	`hostname: validation of A-label (punycode) host names: MIDDLE DOT with no following 'l'`:                            punycode,
	`hostname: validation of A-label (punycode) host names: MIDDLE DOT with nothing following`:                           punycode,
	`hostname: validation of A-label (punycode) host names: Greek KERAIA not followed by Greek`:                          punycode,
	`hostname: validation of A-label (punycode) host names: Greek KERAIA not followed by anything`:                       punycode,
	`hostname: validation of A-label (punycode) host names: Hebrew GERESH not preceded by Hebrew`:                        punycode,
	`hostname: validation of A-label (punycode) host names: Hebrew GERESH not preceded by anything`:                      punycode,
	`hostname: validation of A-label (punycode) host names: Hebrew GERSHAYIM not preceded by Hebrew`:                     punycode,
	`hostname: validation of A-label (punycode) host names: Hebrew GERSHAYIM not preceded by anything`:                   punycode,
	`hostname: validation of A-label (punycode) host names: KATAKANA MIDDLE DOT with no Hiragana, Katakana, or Han`:      punycode,
	`hostname: validation of A-label (punycode) host names: KATAKANA MIDDLE DOT with no other characters`:                punycode,
	`hostname: validation of A-label (punycode) host names: Arabic-Indic digits mixed with Extended Arabic-Indic digits`: punycode,
	`hostname: validation of A-label (punycode) host names: ZERO WIDTH JOINER not preceded by Virama`:                    punycode,
	`hostname: validation of A-label (punycode) host names: ZERO WIDTH JOINER not preceded by anything`:                  punycode,
	`hostname: validation of A-label (punycode) host names: contains "--" in the 3rd and 4th position`:                   punycode,
}
