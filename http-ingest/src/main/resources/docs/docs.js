SwaggerUIBundle({
  url: '/openapi.json',
  dom_id: '#docs',
  deepLinking: true,
  // By default each document would be sent to a validator on the internet.
  validatorUrl: null,
});
