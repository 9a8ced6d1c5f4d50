# perl lwp.pl FOLDER URL IDLE_S: what tests/senders/drive.py asks of a sender, by LWP.

use strict;
use warnings;
use HTTP::Request;
use LWP::UserAgent;
use Time::HiRes qw(sleep);

my ($folder, $url, $idle_s) = @ARGV;
my $agent = LWP::UserAgent->new(keep_alive => 1);
$| = 1;

sub slurp {
    open my $file, '<:raw', shift or die $!;
    local $/;
    return scalar <$file>;
}

sub post {
    my ($name, $content) = @_;
    my $headers = ['Content-Type' => 'application/json', 'X-Webhook-Signature' => slurp("$folder/$name.sig")];
    my $response = $agent->request(HTTP::Request->new(POST => $url, $headers, $content));
    print "$name ", $response->code, "\n";
}

sub pieces {    # a body of unknown length
    my @pieces = unpack '(a100)*', shift;
    return sub { shift @pieces };
}

post('fresh', slurp("$folder/fresh.json"));
post('reused', slurp("$folder/reused.json"));
sleep $idle_s;
post('idle', slurp("$folder/idle.json"));
post('chunked', pieces(slurp("$folder/chunked.json")));
post('large', slurp("$folder/large.json"));
