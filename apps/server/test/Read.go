// Prints what URLs hold, with the client as it comes: it offers gzip with every request, and inflates by itself.
package main

import (
	"io"
	"net/http"
	"os"
)

func main() {
	for _, url := range os.Args[1:] {
		response, err := http.Get(url)
		if err != nil {
			panic(err)
		}
		if response.StatusCode != 200 || !response.Uncompressed {
			panic(response.Status)
		}
		if _, err := io.Copy(os.Stdout, response.Body); err != nil {
			panic(err)
		}
	}
}
