import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;

/** Prints what URLs hold, with the client as it comes: over plain HTTP it offers HTTP/2 with every request. */
class Read {
  public static void main(String[] urls) throws Exception {
    var client = HttpClient.newHttpClient();
    for (var url : urls) {
      var request = HttpRequest.newBuilder(URI.create(url)).build();
      var response = client.send(request, HttpResponse.BodyHandlers.ofInputStream());
      if (response.statusCode() != 200) throw new IllegalStateException("HTTP " + response.statusCode());
      response.body().transferTo(System.out);
    }
    System.out.flush();
  }
}
