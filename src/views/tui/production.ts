// react chooses its slow, talkative build unless this says otherwise; it must run before react is loaded
process.env['NODE_ENV'] ??= 'production';
