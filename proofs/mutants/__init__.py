"""Small mistakes put into the code, one at a time: the tests of that code must notice each."""
