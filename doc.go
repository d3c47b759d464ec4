// Package wirebird holds the module's own tests; the product is in the packages below
// and in cmd/wirebird.
package wirebird
